"""`redis_exporter once`: every target is polled once, on every lane, and the page goes to standard output."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping

from exporter.app import App, read_targets
from exporter.options import Options

#: how often it is looked whether the scans have ended
LOOK_S = 0.02


def run(options: Options, environ: Mapping[str, str]) -> int:
    """0 if every target was up, else 1."""
    targets = read_targets(options, environ)

    async def poll() -> tuple[bytes, bool]:
        app = App(options, targets)
        app.watch_all()
        app.schedule.start()
        try:
            timeout_s = min(options.redis.scrape_timeout_s, options.redis.connection_timeout_s, max(1.0, options.poll.interval_s))
            await app.fleet.wait_first_round(timeout_s * (1 + len(targets) / options.poll.max_in_flight))
            watches = app.fleet.watches.values()
            for watch in watches:
                if watch.up and not watch.scanning:
                    watch.scan()
            while any(watch.scanning for watch in watches):
                await asyncio.sleep(LOOK_S)
            page = app.exposition.draft().build()
            return b"".join([*page.plain_pieces(), page.plain_tail(time.time())]), all(watch.up for watch in watches)
        finally:
            await app.stop()

    text, all_up = asyncio.run(poll())
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
    return int(not all_up)
