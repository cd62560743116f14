"""`python -m tests.holdable FLAGS…` runs the exporter with an event loop that SIGUSR1 holds for `HELD_S`."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Sequence

from exporter import cli
from exporter.app import run
from exporter.app.app import Read
from exporter.files import Noted
from exporter.options.table import Options
from exporter.targets.target import Target

HELD_S = 14.0


def hold() -> None:
    time.sleep(HELD_S)


def main() -> int:
    serve = run.serve

    async def holdable(
        options: Options, targets: Sequence[Target], read: Read | None = None, noted: Noted | None = None
    ) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, hold)
        await serve(options, targets, read, noted)

    run.serve = holdable
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
