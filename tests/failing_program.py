"""`python -m tests.failing_program FLAGS…` runs the exporter with mistakes in it: each of FAILURES raises an
error whose text holds all that was at hand, secrets included."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NoReturn

from exporter.cli import main
from tests.planted import PLANT

#: functions that fail, and which error
FAILURES = {
    "exporter.connection.dialer:Dialer._log_in": RuntimeError,
    "exporter.connection.children:Children.run": KeyError,
    "exporter.targets.http_sd:HttpSd._fetch": LookupError,
    "exporter.status.config_page:ConfigPage.config": AssertionError,
    "exporter.app.run:read_again": ArithmeticError,
}


def break_down(place: str, kind: type[Exception]) -> None:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)

    def fail(*args: Any, **more: Any) -> NoReturn:
        inside = [vars(each) for each in args if hasattr(each, "__dict__")]
        secrets = [each for each in (*os.environ.values(), *sys.argv) if PLANT in each]
        raise kind(f"{secrets} {args} {inside}")  # only the beginning of a long text would be shown

    setattr(owner, name, fail)


if __name__ == "__main__":
    for place, kind in FAILURES.items():
        break_down(place, kind)
    sys.exit(main())
