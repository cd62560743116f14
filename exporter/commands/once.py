"""`redis_exporter once`: poll every target once, on all lanes, and print the page."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence

from exporter.app.backend import Backend
from exporter.app.build import configure
from exporter.app.requests import without_requests
from exporter.app.run import read_targets
from exporter.descriptors import raise_limit
from exporter.options.table import Options
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.target import Target

#: how often to check whether the polls have ended
LOOK_S = 0.01


async def poll_once(options: Options, targets: Sequence[Target]) -> tuple[bytes, bool]:
    """The page, and whether every target was up."""
    configuration = configure(without_requests(options), targets)
    backend = Backend(configuration, raise_limit())
    await backend.apply(configuration)
    watched_targets = list(backend.fleet.watched_targets.values())
    try:
        for watched in watched_targets:
            watched.poll_all()  # a scan follows
        await _rest(watched_targets)
        page = backend.exposition.draft().build()
        return page.plain_text(time.monotonic()), all(watched.up for watched in watched_targets)
    finally:
        await backend.stop_polling()
        await backend.close()


async def _rest(watched_targets: Sequence[WatchedTarget]) -> None:
    """Wait until no poll runs. Every poll has a deadline, so this ends."""
    while any(watched.busy or watched.scanner.busy for watched in watched_targets):
        await asyncio.sleep(LOOK_S)


def run(options: Options, environ: Mapping[str, str]) -> int:
    """0 if every target was up, else 1; the page is printed in both cases."""
    text, all_up = asyncio.run(poll_once(options, read_targets(options, environ)))
    sys.stdout.buffer.write(text)
    return int(not all_up)
