"""`python -m tests.metered REPORT FLAGS…` runs the exporter with a meter in its event loop.

SIGUSR1 starts the meter. SIGUSR2 writes what it found to the file REPORT, and starts it again. It comes
round at short intervals. Between two of its rounds it takes what the loop's thread used of the processor, so
a busy machine hardly shows, and the time that passed, so a call that waits does.
"""

from __future__ import annotations

import asyncio
import json
import os
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
        self._is_running = False

    def start(self) -> None:
        self.busy_s = self.passed_s = 0.0
        self._used, self._at = time.thread_time(), time.monotonic()
        if not self._is_running:
            self._is_running = True
            asyncio.get_running_loop().call_later(ROUND_S, self._round)

    def write(self, report: Path) -> None:
        """Write the longest turn since the start and the number of tasks, and start again."""
        new = report.with_suffix(".new")
        tasks = len(asyncio.all_tasks())
        new.write_text(json.dumps({"busy_s": self.busy_s, "passed_s": self.passed_s, "tasks": tasks}))
        os.replace(new, report)
        self.start()

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
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, meter.start)
        loop.add_signal_handler(signal.SIGUSR2, meter.write, report)
        await serve(options, targets, read, noted)

    run.serve = metered
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
