"""The HTML of the pages, by jinja2. It is loaded at the first use: the start of the exporter does not wait
for it, and the event loop goes on while a thread compiles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib import resources
from time import perf_counter
from typing import TYPE_CHECKING

from exporter.status import figures

if TYPE_CHECKING:
    import jinja2

#: what other templates extend or import
SHARED = ("base.html", "macros.html")
#: how long a page is written before the event loop goes on, and pieces of text between two looks at the clock
SLICE_S = 0.001
PIECES = 64


class Templates:
    """Writes pages. `common` are values that all templates have. `share` returns when the event loop has
    time."""

    def __init__(self, common: Mapping[str, object], share: Callable[[], Awaitable[None]]) -> None:
        self._common = dict(common)
        self._share = share
        self._loaded: dict[str, jinja2.Template] = {}
        self._environment: jinja2.Environment | None = None

    async def write(self, name: str, values: Mapping[str, object]) -> str:
        """The text of one page, such as `overview.html`. A value that the template names and that is missing
        raises jinja2.UndefinedError; all others are escaped."""
        template = self._loaded.get(name)
        if template is None:
            template = self._loaded[name] = await asyncio.to_thread(self._load, name)
        await self._share()
        return await self._join(template.generate(**values))

    async def _join(self, pieces: Iterable[str]) -> str:
        """All pieces, made in slices."""
        written: list[str] = []
        until = perf_counter() + SLICE_S
        for number, piece in enumerate(pieces):
            written.append(piece)
            if number % PIECES == 0 and perf_counter() > until:
                await asyncio.sleep(0)
                await self._share()
                until = perf_counter() + SLICE_S
        return "".join(written)

    def _load(self, name: str) -> jinja2.Template:
        """Compile a template and what it needs. Runs in a thread."""
        environment = self._environment
        if environment is None:
            environment = self._environment = _make_environment()
            environment.globals.update(self._common)
        for each in SHARED:
            environment.get_template(each)
        return environment.get_template(name)


def _make_environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(figures.FILTERS)
    return environment


def _source(name: str) -> str:
    return (resources.files("exporter.status") / "templates" / name).read_text(encoding="utf-8")
