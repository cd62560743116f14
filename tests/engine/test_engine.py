"""Which engine is picked."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from exporter import engine as engine_module
from tests.engine.readings import PICKED

ROOT = Path(__file__).parent.parent.parent


class TestWhichEngine:
    """In a process of its own, for an engine is picked once."""

    @staticmethod
    def pick(engine: str = "", *, built: bool = True) -> subprocess.CompletedProcess[str]:
        hide = "" if built else "import sys; sys.modules['exporter._fastparse'] = None; "
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", f"{hide}from exporter import engine; print(engine.ENGINE)"],
            cwd=ROOT,
            env={**os.environ, "REDPOLL_ENGINE": engine},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_the_plain_one_where_it_is_asked_for(self) -> None:
        for built in (True, False):
            outcome = self.pick("python", built=built)
            assert (outcome.stdout, outcome.stderr) == ("python\n", "")

    def test_the_plain_one_with_a_warning_where_the_other_is_not_built(self) -> None:
        outcome = self.pick(built=False)
        assert outcome.stdout == "python\n"
        assert outcome.stderr.startswith("the compiled engine is not built (make build)")
        assert len(outcome.stderr.splitlines()) == 1

    def test_the_compiled_one_where_it_is_built(self) -> None:
        built = importlib.util.find_spec("exporter._fastparse") is not None
        assert self.pick().stdout == ("compiled\n" if built else "python\n")

    def test_everybody_uses_the_one_that_was_picked(self) -> None:
        assert engine_module.ENGINE == PICKED.ENGINE
        for name in (
            "Assembler",
            "TargetSamples",
            "Labels",
            "LineOrder",
            "Plan",
            "Writer",
            "ages",
            "client_rows",
            "escape",
            "tally_clients",
        ):
            assert getattr(engine_module, name) is getattr(PICKED, name)
