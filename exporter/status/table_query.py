"""Which rows of the table a request asks for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from multidict import MultiMapping

from exporter.errors import RequestError
from exporter.fleet.fleet import STATES
from exporter.safe_text import valid
from exporter.status.openapi import Parameter

#: of a target that is up and has values that are too old
STALE = "stale"
#: the states that a request may ask for
STATE_CHOICES = (*STATES, STALE)
#: what rows can be sorted by. Texts begin with A, numbers with the largest, moments with the newest, and
#: `next` with the soonest; `worst` with what needs a look
SORTS = (
    *("worst", "name", "address", "state", "since", "age", "p50", "p99", "next"),
    *("series", "refused", "reconnects", "cost", "role", "version"),
)
SIZE_DEFAULT, SIZE_MAX, PAGE_MAX, TEXT_MAX = 100, 1000, 1_000_000, 200

PARAMETERS = (
    Parameter(
        "state",
        "Only targets in this state; stale: those that are up and have values that are too old.",
        {"enum": ["", *STATE_CHOICES]},
    ),
    Parameter(
        "q",
        "Only targets with this text in their alias, address, role, version or in a value of their labels; "
        "capital and small letters are the same.",
        {"type": "string", "maxLength": TEXT_MAX},
    ),
    Parameter(
        "sort",
        "By what they are sorted: worst begins with what is down for the longest time, texts with A, numbers "
        "with the largest, since with the newest, next with the soonest. A - in front turns the order round.",
        {"enum": ["", *(f"{sign}{name}" for name in SORTS for sign in ("", "-"))]},
    ),
    Parameter(
        "page", "Which page; the first one is 1.", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX}
    ),
    Parameter("size", "Targets of one page.", {"type": "integer", "minimum": 1, "maximum": SIZE_MAX}),
)


@dataclass(frozen=True, slots=True)
class TableQuery:
    """`state` is one of `STATE_CHOICES` or "" for all, `text` has to be in the row, `sort` is one of `SORTS`,
    behind a - the other way round. `page` counts from 1, each has `size` rows."""

    state: str = ""
    text: str = ""
    sort: str = "worst"
    page: int = 1
    size: int = SIZE_DEFAULT

    @property
    def column(self) -> str:
        """What rows are sorted by."""
        return self.sort.removeprefix("-")

    @property
    def is_reversed(self) -> bool:
        return self.sort.startswith("-")

    def href(self, **changes: Any) -> str:
        """The same query with other values, as the end of an address: `?state=down&q=…`, or `?`. Another
        order or other rows begin at the first page."""
        if changes.keys() - {"page"} and "page" not in changes:
            changes["page"] = 1
        changed = replace(self, **changes)
        pairs = (
            ("state", changed.state, ""),
            ("q", changed.text, ""),
            ("sort", changed.sort, "worst"),
            ("size", changed.size, SIZE_DEFAULT),
            ("page", changed.page, 1),
        )
        return "?" + urlencode([(name, value) for name, value, usual in pairs if value != usual])


def table_query(query: MultiMapping[str]) -> TableQuery:
    """Of the parameters `state`, `q`, `sort`, `page` and `size`. A RequestError says what to write
    instead."""
    state, sort, text = query.get("state", ""), query.get("sort", "") or "worst", query.get("q", "")
    if state and state not in STATE_CHOICES:
        raise RequestError(f"state: write one of {', '.join(STATE_CHOICES)}, such as state=down")
    if sort.removeprefix("-") not in SORTS:
        raise RequestError(f"sort: write one of {', '.join(SORTS)}, such as sort=age, or sort=-age")
    if len(text) > TEXT_MAX:
        raise RequestError(f"q: at most {TEXT_MAX} characters")
    return TableQuery(
        state,
        valid(text.strip()),
        sort,
        _number(query, "page", 1, PAGE_MAX),
        _number(query, "size", SIZE_DEFAULT, SIZE_MAX),
    )


def _number(query: MultiMapping[str], name: str, usual: int, most: int) -> int:
    text = query.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise RequestError(f"{name}: write a number from 1 to {most}, such as {name}={usual}")
    return int(text)
