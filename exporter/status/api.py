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

#: tables as CSV that are written at the same time
TABLES_MAX = 4

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
        errors={
            400: "A parameter is wrong, or the table is too large: the text says what to write instead.",
            429: "Other tables are being written.",
        },
    ),
    Operation("api-scrapers", "Who scrapes, and whose requests were refused.", ScraperReport),
    Operation("api-cardinality", "The largest families and targets.", CardinalityReport),
    Operation("api-status", "The exporter itself.", ExporterStatus),
    Operation("api-openapi", "This description.", dict[str, object]),
)


@dataclass(frozen=True, slots=True)
class ApiSources:
    """What the answers are made of. `share` returns when the event loop has time. A table as CSV may have
    `csv_bytes`; `note` counts an incident by its reason."""

    table: FleetTable
    scrapers: ScraperTable
    cardinality: Cardinality
    status: Callable[[], ExporterStatus]
    share: Callable[[], Awaitable[None]]
    csv_bytes: int = 16 * 1024 * 1024
    note: Callable[[str], object] = lambda reason: None


class ApiAnswers:
    """`more` are the operations of others, for the description."""

    def __init__(self, sources: ApiSources, version: str, more: Sequence[Operation] = ()) -> None:
        self._sources = sources
        self.status = sources.status
        self._version = version
        self._more = more
        self._tables = 0  # that are being written

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
        """All rows that fit the query. Each answer holds its whole table in memory, so their number and size
        are limited."""
        query = table_query(request.query)
        if self._tables >= TABLES_MAX:
            self._sources.note("too_many_tables")
            text = f"{TABLES_MAX} other tables are being written: try again\n"
            return web.Response(status=429, text=text, headers={"Retry-After": "1"})
        self._tables += 1
        try:
            return await self._send_table(request, TableQuery(query.state, query.text, query.sort))
        finally:
            self._tables -= 1

    async def _send_table(self, request: web.Request, query: TableQuery) -> web.StreamResponse:
        """Returns when the client has read most of it."""
        lines, size, limit = [header_line().encode()], 0, self._sources.csv_bytes
        async for row in self._sources.table.rows(query):
            lines.append(csv_line(row).encode())
            size += len(lines[-1])
            if size > limit:
                return web.Response(
                    status=400,
                    text=f"the table has more than {limit:,} bytes (--web.max-csv-bytes): ask for less with "
                    f"state= or q=, or for pages of /api/v1/targets\n",
                )
        headers = {
            **NOT_KEPT,
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="targets.csv"',
        }
        response, body = web.StreamResponse(headers=headers), b"".join(lines)
        response.content_length = len(body)
        await response.prepare(request)
        if request.method != "HEAD":
            await response.write(body)
        return response

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
