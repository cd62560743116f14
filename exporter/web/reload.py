"""The answer to a request for a reload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from exporter.errors import ConfigError

NOTHING_READ = (
    "no password file to read (see --redis.password-file); commands that servers refused are asked again\n"
)


class Reloaded(NamedTuple):
    """A reload that went well: whether there are files that it reads, and what it has changed."""

    has_files: bool
    changes: str


Reload = Callable[[], Awaitable[Reloaded]]


async def answer(method: str, reload: Reload) -> web.Response:
    """Reload. GET has the Go exporter's answers, in which a reload without a file is an error; POST says what
    has changed."""
    try:
        done = await reload()
    except ConfigError as error:
        return web.Response(status=500, text=f"{error}\n")
    if method == "POST":
        return web.Response(text=f"reloaded: {done.changes}\n")
    return web.Response(text="ok\n") if done.has_files else web.Response(status=400, text=NOTHING_READ)
