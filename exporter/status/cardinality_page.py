"""The page `/cardinality`: which families and targets have the most series, and what limits refuse."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from exporter.status.answers import html_answer
from exporter.status.cardinality import CardinalityReport
from exporter.status.row_texts import link_of
from exporter.status.templates import Templates


class CardinalityReporter(Protocol):
    """What the page needs of the sizes."""

    async def report(self) -> CardinalityReport: ...


class CardinalityPage:
    """See the module."""

    def __init__(self, cardinality: CardinalityReporter, templates: Templates) -> None:
        self._cardinality = cardinality
        self._templates = templates

    async def cardinality(self, request: web.Request) -> web.StreamResponse:
        """The page, as of some seconds ago at most."""
        values = {
            "root": "",
            "page": "cardinality",
            "report": await self._cardinality.report(),
            "link_of": link_of,
        }
        return html_answer(await self._templates.write("cardinality.html", values))
