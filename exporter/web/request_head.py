"""Reads the heads of plain scrapes: a GET of the telemetry path or of `/scrape`, as scrapers send it.

A head that is unusual in any way is no plain scrape, and left to aiohttp. So nothing has to be decided here
that servers decide differently: lengths, bodies, repeated headers, other versions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy, MultiMapping
from yarl import URL

from exporter.web.query import accepts_gzip
from exporter.web.scrapes import METRICS, SCRAPE

END = b"\r\n\r\n"
#: a longer head, or one of more lines, is unusual; aiohttp's own limits are at least this
HEAD_BYTES_MAX, LINES_MAX = 8000, 64
#: heads that are remembered, the length of the longest of them, and its headers and parameters: each of these
#: takes several times its bytes. Scrapers send less than ten
KNOWN_MAX, KNOWN_BYTES_MAX, KNOWN_FIELDS_MAX = 1024, 1024, 16

#: paths that are the same in every spelling of URLs
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+\Z")
#: headers of requests that are more than a head, or ask for more than an answer
_UNUSUAL = frozenset(
    {
        "content-encoding",
        "content-length",
        "expect",
        "http2-settings",
        "sec-websocket-key1",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: headers that may hold secrets
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
_NO_QUERY: MultiMapping[str] = MultiDictProxy(MultiDict())


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A plain scrape. `path` is a row of the table of endpoints. `closes`: the client asks for no more on
    this connection. `takes_gzip`: it accepts a compressed answer."""

    endpoint: str
    path: str
    query: MultiMapping[str]
    headers: CIMultiDictProxy[str]
    closes: bool
    takes_gzip: bool

    @property
    def fields(self) -> int:
        """Headers and parameters."""
        return len(self.headers) + len(self.query)

    @property
    def may_hold_secrets(self) -> bool:
        """Such as a password in the address of a target."""
        return not _SECRET.isdisjoint(map(str.lower, self.headers)) or any(
            "@" in value or "?" in value for value in self.query.values()
        )


class HeadReader:
    """Reads one head after the other, of any connection. Without a path, no head is a plain scrape of it.

    A scraper sends the same head each time. So heads are remembered with what was read from them, unless they
    are large or may hold secrets.
    """

    def __init__(self, telemetry_path: str = "", scrape_path: str = "") -> None:
        paths = {telemetry_path: METRICS, scrape_path: SCRAPE}
        self._endpoints = {
            path.encode(): (endpoint, path) for path, endpoint in paths.items() if _PLAIN_PATH.match(path)
        }
        self._beginnings = tuple(b"GET " + path + end for path in self._endpoints for end in (b" ", b"?"))
        self._known: dict[bytes, RequestHead] = {}
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._is_whole = False

    def read(self, head: bytes) -> RequestHead | None:
        """What a head with its `END` asks for; None if it is unusual or not valid."""
        known = self._known.get(head)
        if known is not None:
            return known
        found = self._parse(head)
        if found is not None and _is_small(head, found) and not found.may_hold_secrets:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[head] = found
        return found

    def _parse(self, head: bytes) -> RequestHead | None:
        if not head.startswith(self._beginnings) or len(head) > HEAD_BYTES_MAX or not head.isascii():
            return None
        self._headers, self._is_whole = CIMultiDict(), False
        try:
            self._parser.feed_data(head)
            found = self._found() if self._is_whole else None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            found = None
        if found is None or found.closes:  # the old one may be within a message, or take no other one
            self._parser = httptools.HttpRequestParser(self)
        return found

    def _found(self) -> RequestHead | None:
        headers = self._headers
        path, mark, query = self._url.partition(b"?")
        known = self._endpoints.get(path)
        connection = headers.get("connection", "").lower()
        if (
            known is None
            or b"#" in query
            or self._parser.get_http_version() != "1.1"
            or "host" not in headers
            or connection not in ("", "keep-alive", "close")
            or len(headers) > LINES_MAX
        ):
            return None
        names = {name.lower() for name in headers}
        if len(names) != len(headers) or not names.isdisjoint(_UNUSUAL):
            return None
        return RequestHead(
            *known,
            _query(query) if mark else _NO_QUERY,
            CIMultiDictProxy(headers),
            closes=connection == "close",
            takes_gzip=accepts_gzip(headers.get("accept-encoding", "")),
        )

    # -- what the parser calls

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.add(name.decode(), value.rstrip(b" \t").decode())

    def on_message_complete(self) -> None:
        self._is_whole = True


def _is_small(head: bytes, found: RequestHead) -> bool:
    return len(head) <= KNOWN_BYTES_MAX and found.fields <= KNOWN_FIELDS_MAX


def _query(text: bytes) -> MultiMapping[str]:
    """As aiohttp reads it."""
    return URL.build(path="/", query_string=text.decode(), encoded=True).query
