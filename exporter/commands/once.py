"""`redis_exporter once`: every target is polled once, on every lane, and the page goes to standard output."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence

from exporter.app.app import App
from exporter.app.run import read_targets
from exporter.options.groups import Options
from exporter.polling.watched_target import Watch
from exporter.targets.target import Target

#: how often it is looked whether the polls have ended
LOOK_S = 0.01


async def poll_once(options: Options, targets: Sequence[Target]) -> tuple[bytes, bool]:
    """The page, and whether every target was up."""
    app = App(options, targets)
    app.watch_all()
    watches = list(app.fleet.watches.values())
    try:
        for watch in watches:
            watch.poll_all()
        await _rest(watches)
        for watch in watches:
            if watch.up:
                watch.scan()
        scanned = [watch for watch in watches if watch.scanning]
        await _rest(watches)
        for watch in scanned:  # what a scan found is asked about on the other lanes
            watch.poll_all()
        await _rest(watches)
        page = app.exposition.draft().build()
        return b"".join([*page.plain, page.plain_tail(time.monotonic())]), all(watch.up for watch in watches)
    finally:
        await app.stop()


async def _rest(watches: Sequence[Watch]) -> None:
    """Until nothing is under way. Every poll has a deadline, so this ends."""
    while any(watch.busy or watch.scanning for watch in watches):
        await asyncio.sleep(LOOK_S)


def run(options: Options, environ: Mapping[str, str]) -> int:
    """0 if every target was up, else 1; the page is printed in both cases."""
    text, all_up = asyncio.run(poll_once(options, read_targets(options, environ)))
    sys.stdout.buffer.write(text)
    return int(not all_up)
