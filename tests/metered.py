"""`python -m tests.metered REPORT FLAGS…` runs the exporter with a meter in its event loop, and writes to the
file REPORT at its end.

SIGUSR1 starts the meter. It comes round at short intervals. Between two of its rounds it takes what the
loop's thread used of the processor, so a busy machine does not show, and the time that passed, so a call that
waits does.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exporter import cli
from exporter.app import run
from exporter.app.app import Read
from exporter.files import Noted
from exporter.options.table import Options
from exporter.targets.target import Target

ROUND_S = 0.001


class LoopMeter:
    """The longest that the loop was held. `busy_s` counts the processor's time, `passed_s` the clock's."""

    def __init__(self) -> None:
        self.busy_s = 0.0
        self.passed_s = 0.0
        self._used = self._at = 0.0

    def start(self) -> None:
        self._used, self._at = time.thread_time(), time.monotonic()
        asyncio.get_running_loop().call_later(ROUND_S, self._round)

    def _round(self) -> None:
        used, at = time.thread_time(), time.monotonic()
        self.busy_s = max(self.busy_s, used - self._used)
        self.passed_s = max(self.passed_s, at - self._at - ROUND_S)
        self._used, self._at = used, at
        asyncio.get_running_loop().call_later(ROUND_S, self._round)


def main() -> int:
    report, meter, serve = Path(sys.argv[1]), LoopMeter(), run.serve

    async def metered(
        options: Options, targets: Sequence[Target], read: Read | None = None, noted: Noted | None = None
    ) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, meter.start)
        await serve(options, targets, read, noted)

    run.serve = metered
    code = cli.main(sys.argv[2:])
    report.write_text(json.dumps({"busy_s": meter.busy_s, "passed_s": meter.passed_s}))
    return code


if __name__ == "__main__":
    sys.exit(main())
