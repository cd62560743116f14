"""The page `/scrapers`: who scrapes, how old the values are that each gets, and who was refused."""

from __future__ import annotations

import time
from typing import Protocol

from aiohttp import web

from exporter.status.answers import html_answer
from exporter.status.scraper_rows import ScraperReport
from exporter.status.templates import Templates

#: status → what it means for who sees it
REFUSALS = {
    401: "no password, or a wrong one",
    403: "not allowed",
    429: "too many at once: checks of passwords, or traced polls",
}


class ScraperReporter(Protocol):
    """What the page needs of who scrapes."""

    def report(self) -> ScraperReport: ...


class ScrapersPage:
    """See the module."""

    def __init__(self, table: ScraperReporter, templates: Templates) -> None:
        self._table = table
        self._templates = templates

    async def scrapers(self, request: web.Request) -> web.StreamResponse:
        """The page as of now."""
        values = {
            "root": "",
            "page": "scrapers",
            "wall": time.time(),
            "report": self._table.report(),
            "meanings": REFUSALS,
        }
        return html_answer(await self._templates.write("scrapers.html", values))
