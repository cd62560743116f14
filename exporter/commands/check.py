"""`redis_exporter check`: whether the program would start with these options; nobody is connected to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from exporter import texts
from exporter.app.app import App
from exporter.app.run import read_targets
from exporter.options.groups import Options


def run(options: Options, environ: Mapping[str, str]) -> int:
    """One line for each target. What is wrong is raised, as it is by a start."""
    targets = read_targets(options, environ)

    async def build() -> None:
        app = App(options, targets)
        app.watch_all()
        await app.stop()

    asyncio.run(build())
    for target in targets:
        print(texts.one_line("  ".join(filter(None, (target.addr, target.alias)))))
    print(f"ok: {len(targets)} target{'' if len(targets) == 1 else 's'}")
    return 0
