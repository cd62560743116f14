"""`python -m tests.holdable FLAGS…` runs the exporter with an event loop that SIGUSR1 holds until
SIGUSR2 comes, for `HELD_MAX_S` at most."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

from exporter import cli
from exporter.app import run
from exporter.app.app import Read
from exporter.files import Noted
from exporter.options.table import Options
from exporter.targets.target import Target

HELD_MAX_S = 60.0


def hold() -> None:
    signal.sigtimedwait([signal.SIGUSR2], HELD_MAX_S)


def main() -> int:
    serve = run.serve

    async def holdable(
        options: Options, targets: Sequence[Target], read: Read | None = None, noted: Noted | None = None
    ) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, hold)
        await serve(options, targets, read, noted)

    run.serve = holdable
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])  # no thread takes it but the one that waits
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
