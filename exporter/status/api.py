"""The JSON API: one route, one method. The table is written in slices of the event loop's time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from aiohttp import web

from exporter.status.answers import NOT_KEPT, json_answer
from exporter.status.api_answers import ExporterStatus, TargetList
from exporter.status.cardinality import Cardinality, CardinalityReport
from exporter.status.fleet_table import MADE, FleetTable
from exporter.status.json_values import json_text
from exporter.status.openapi import BAD_PARAMETER, Operation, describe
from exporter.status.scraper_rows import ScraperReport, ScraperTable
from exporter.status.table_csv import csv_line, header_line
from exporter.status.table_query import PARAMETERS, TableQuery, table_query

_ROWS = tuple(each for each in PARAMETERS if each.name not in ("page", "size"))

#: what the methods below answer. Other answers of the API come with their own
OPERATIONS = (
    Operation(
        "api-targets",
        "The targets, one page of the table.",
        TargetList,
        parameters=PARAMETERS,
        errors=BAD_PARAMETER,
    ),
    Operation(
        "api-targets-csv",
        "All targets that fit, for a spreadsheet.",
        media_type="text/csv",
        parameters=_ROWS,
        errors=BAD_PARAMETER,
    ),
    Operation("api-scrapers", "Who scrapes, and whose requests were refused.", ScraperReport),
    Operation("api-cardinality", "The largest families and targets.", CardinalityReport),
    Operation("api-status", "The exporter itself.", ExporterStatus),
    Operation("api-openapi", "This description.", dict[str, object]),
)


@dataclass(frozen=True, slots=True)
class ApiSources:
    """What the answers are made of. `share` returns when the event loop has time."""

    table: FleetTable
    scrapers: ScraperTable
    cardinality: Cardinality
    status: Callable[[], ExporterStatus]
    share: Callable[[], Awaitable[None]]


class ApiAnswers:
    """`more` are the operations of others, for the description."""

    def __init__(self, sources: ApiSources, version: str, more: Sequence[Operation] = ()) -> None:
        self._sources = sources
        self.status = sources.status
        self._version = version
        self._more = more

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """The API in OpenAPI's form."""
        return describe((*OPERATIONS, *self._more), self._version)

    async def api_targets(self, request: web.Request) -> web.StreamResponse:
        """One page of the table."""
        query = table_query(request.query)
        page = await self._sources.table.page(query)
        head = json_text(
            TargetList(page.counts, page.stale, page.total, page.page, page.pages, query.size, ())
        )
        texts = []
        for number, row in enumerate(page.rows):
            if number % MADE == 0:
                await self._sources.share()
            texts.append(json_text(row))
        return json_answer(f"{head.removesuffix(']}')}{','.join(texts)}]}}")

    async def api_targets_csv(self, request: web.Request) -> web.StreamResponse:
        """All rows that fit the query."""
        query = table_query(request.query)
        lines = [header_line()]
        async for row in self._sources.table.rows(TableQuery(query.state, query.text, query.sort)):
            lines.append(csv_line(row))
        headers = {**NOT_KEPT, "Content-Disposition": 'attachment; filename="targets.csv"'}
        return web.Response(text="".join(lines), content_type="text/csv", charset="utf-8", headers=headers)

    async def api_scrapers(self, request: web.Request) -> web.StreamResponse:
        await self._sources.share()
        return json_answer(json_text(self._sources.scrapers.report()))

    async def api_cardinality(self, request: web.Request) -> web.StreamResponse:
        return json_answer(json_text(await self._sources.cardinality.report()))

    async def api_status(self, request: web.Request) -> web.StreamResponse:
        await self._sources.share()
        return json_answer(json_text(self.status()))

    async def api_openapi(self, request: web.Request) -> web.StreamResponse:
        return json_answer(json.dumps(self.description))
