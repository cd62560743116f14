"""The answer to a request for a reload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from aiohttp import web

from exporter.errors import ConfigError
from exporter.web.cross_site import NOT_FOR_PAGES, is_of_a_page

NOTHING_READ = (
    "no password file to read (see --redis.password-file); commands that servers refused are asked again\n"
)
NOT_HERE = (
    "requests may not reload (--web.enable-reload=false): send SIGHUP to the process, or start it with "
    "--watch\n"
)


class Reloaded(NamedTuple):
    """A reload that went well: whether there are files that it reads, and what it has changed."""

    has_files: bool
    changes: str


Reload = Callable[[], Awaitable[Reloaded]]


async def answer(
    method: str, headers: Mapping[str, str], reload: Reload, *, is_allowed: bool = True
) -> web.Response:
    """Reload. GET has the Go exporter's answers, in which a reload without a file is an error; POST says what
    has changed. Pages of others may not cause one, with GET neither: an image on a page can ask for that."""
    if not is_allowed:
        return web.Response(status=403, text=NOT_HERE)
    if is_of_a_page(headers):
        return web.Response(status=403, text=NOT_FOR_PAGES)
    try:
        done = await reload()
    except ConfigError as error:
        return web.Response(status=500, text=f"{error}\n")
    if method == "POST":
        return web.Response(text=f"reloaded: {done.changes}\n")
    return web.Response(text="ok\n") if done.has_files else web.Response(status=400, text=NOTHING_READ)
