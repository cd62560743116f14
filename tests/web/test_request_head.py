"""Heads that are plain scrapes, and all others: those are left to aiohttp, whatever is wrong with them."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Mapping
from unittest import mock

import pytest
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.web.request_head import (
    END,
    HEAD_BYTES_MAX,
    KNOWN_BYTES_MAX,
    KNOWN_FIELDS_MAX,
    KNOWN_MAX,
    LINES_MAX,
    HeadReader,
    RequestHead,
)
from exporter.web.scrapes import METRICS, SCRAPE

PLAIN = (
    b"GET /metrics HTTP/1.1\r\nHost: exporter:9121\r\nUser-Agent: Prometheus/3.0\r\n"
    b"Accept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n"
    b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
)


def head(line: bytes = b"GET /metrics HTTP/1.1", *headers: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: x", *headers, b"", b""])


def read(data: bytes) -> RequestHead | None:
    return HeadReader("/metrics", "/scrape").read(data)


def test_a_client_that_closes_spoils_nothing_for_the_next_one() -> None:
    heads = HeadReader("/metrics", "/scrape")
    for number in range(3):
        closing = heads.read(head(b"GET /metrics HTTP/1.1", b"Authorization: x", b"Connection: close"))
        assert closing is not None
        assert closing.closes
        assert heads.read(head(b"GET /scrape?target=h%d HTTP/1.1" % number)) is not None


class TestPlain:
    def test_what_prometheus_sends(self) -> None:
        found = read(PLAIN)
        assert found is not None
        assert (found.endpoint, found.path, found.closes) == (METRICS, "/metrics", False)
        assert found.headers["accept-encoding"] == "gzip"
        assert found.headers["X-Prometheus-Scrape-Timeout-Seconds"] == "10"
        assert list(found.query.items()) == []

    def test_one_target(self) -> None:
        found = read(head(b"GET /scrape?target=redis%3A%2F%2Fa:1&check-keys=a+b&check-keys=&x HTTP/1.1"))
        assert found is not None
        assert (found.endpoint, found.path) == (SCRAPE, "/scrape")
        assert list(found.query.items()) == [
            ("target", "redis://a:1"),
            ("check-keys", "a b"),
            ("check-keys", ""),
            ("x", ""),
        ]

    @pytest.mark.parametrize(
        ("value", "closes"), [(b"close", True), (b"Close", True), (b"keep-alive", False)]
    )
    def test_whether_the_client_asks_for_more(self, value: bytes, closes: bool) -> None:
        found = read(head(b"GET /metrics HTTP/1.1", b"Connection: " + value))
        assert found is not None
        assert found.closes is closes

    def test_blanks_around_a_value_are_none_of_it(self) -> None:
        found = read(head(b"GET /metrics HTTP/1.1", b"X-Prometheus-Scrape-Timeout-Seconds: \t 7 \t "))
        assert found is not None
        assert found.headers["X-Prometheus-Scrape-Timeout-Seconds"] == "7"

    def test_the_telemetry_path_is_a_setting(self) -> None:
        reader = HeadReader("/a/values")
        assert reader.read(head(b"GET /metrics HTTP/1.1")) is None
        assert reader.read(head(b"GET /a/values HTTP/1.1")) is not None

    @pytest.mark.parametrize("path", ["/", "/a b", "/a%20b", "/\xe9", "/a//b", "/a/"])
    def test_a_path_with_several_spellings_is_left_to_aiohttp(self, path: str) -> None:
        assert HeadReader(path).read(head(b"GET " + path.encode("latin-1") + b" HTTP/1.1")) is None

    def test_one_after_the_other(self) -> None:
        reader = HeadReader("/metrics", "/scrape")
        for line in (b"GET /metrics HTTP/1.1", b"GET /scrape?target=a HTTP/1.1", b"GET /metrics HTTP/1.1"):
            assert reader.read(head(line)) is not None

    @pytest.mark.parametrize(
        "before", [head(b"GET /metrics HTTP/1.1", b"Content-Length: 5"), head(b"GET /metrics x")]
    )
    def test_what_is_refused_does_not_change_how_the_next_is_read(self, before: bytes) -> None:
        reader = HeadReader("/metrics")
        assert reader.read(before) is None
        found = reader.read(PLAIN)
        assert found is not None
        assert found.headers["Host"] == "exporter:9121"


class TestRemembered:
    def test_a_head_that_comes_again_is_not_read_again(self) -> None:
        reader = HeadReader("/metrics", "/scrape")
        assert reader.read(PLAIN) is reader.read(PLAIN)

    @pytest.mark.parametrize(
        "data",
        [
            head(b"GET /metrics HTTP/1.1", b"Authorization: Basic x"),
            head(b"GET /metrics HTTP/1.1", b"Cookie: x"),
            head(b"GET /scrape?target=redis://u:p@a HTTP/1.1"),
            head(b"GET /scrape?target=redis%3A%2F%2Fu%3Ap%40a HTTP/1.1"),
            head(b"GET /scrape?target=redis://a?password=p HTTP/1.1"),
        ],
    )
    def test_what_may_hold_a_secret_is_not_kept(self, data: bytes) -> None:
        reader = HeadReader("/metrics", "/scrape")
        assert reader.read(data) is not None
        assert reader._known == {}

    def test_the_memory_is_bounded(self) -> None:
        reader = HeadReader("/metrics", "/scrape")
        for number in range(KNOWN_MAX + 10):
            assert reader.read(head(b"GET /metrics HTTP/1.1", b"A: %d" % number)) is not None
        assert reader.read(head(b"GET /metrics HTTP/1.1", b"A: " + b"a" * KNOWN_BYTES_MAX)) is not None
        assert len(reader._known) == 10

    @pytest.mark.parametrize("parameters", range(KNOWN_FIELDS_MAX))
    def test_a_head_of_many_fields_is_not_kept(self, parameters: int) -> None:
        reader = HeadReader("/metrics", "/scrape")
        assert reader.read(wide(0, parameters, KNOWN_FIELDS_MAX + 1)) is not None
        assert len(reader._known) == 0
        assert reader.read(wide(0, parameters, KNOWN_FIELDS_MAX)) is not None
        assert len(reader._known) == 1

    @pytest.mark.parametrize("parameters", [0, 1, 2, 4, 8, 14])
    def test_all_together_take_ten_megabytes_at_most(self, parameters: int) -> None:
        reader = HeadReader("/metrics", "/scrape")
        reader.read(wide(KNOWN_MAX, parameters, KNOWN_FIELDS_MAX))
        tracemalloc.start()
        try:
            for number in range(KNOWN_MAX - 1):
                reader.read(wide(number, parameters, KNOWN_FIELDS_MAX))
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(reader._known) == KNOWN_MAX
        print(f"{taken / 1e6:.1f} MB")
        assert 1e6 < taken < 10e6


def wide(number: int, parameters: int, fields: int) -> bytes:
    """A head of that many fields, none like those of another `number`, as long as one that is remembered may
    be. A parameter with an emoji takes 4 bytes a character."""
    query = [b"p%d=%d" % (each, number * 100 + each) for each in range(parameters)]
    headers = [b"H%d: %d" % (each, number * 100 + each) for each in range(fields - parameters - 1)]
    rest = KNOWN_BYTES_MAX - len(head(b"GET /metrics?" + b"&".join(query) + b" HTTP/1.1", *headers))
    if query:
        query[0] = query[0].replace(b"=", b"=%F0%9F%98%80" + b"a" * (rest - 12))
    elif headers:
        headers[0] = b"H" * rest + headers[0]
    return head(b"GET /metrics" + b"?" * bool(query) + b"&".join(query) + b" HTTP/1.1", *headers)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        head(b"HEAD /metrics HTTP/1.1"),
        head(b"POST /metrics HTTP/1.1"),
        head(b"get /metrics HTTP/1.1"),
        head(b"GET /metrics HTTP/1.0"),
        head(b"GET /metrics HTTP/2.0"),
        head(b"GET /metrics"),
        head(b"GET /metrics/ HTTP/1.1"),
        head(b"GET /metricsx HTTP/1.1"),
        head(b"GET /%6detrics HTTP/1.1"),
        head(b"GET //metrics HTTP/1.1"),
        head(b"GET http://x/metrics HTTP/1.1"),
        head(b"GET  /metrics HTTP/1.1"),
        head(b"GET /metrics?a b HTTP/1.1"),
        head(b"GET /metrics?a#b HTTP/1.1"),
        head(b"GET /metrics?\0 HTTP/1.1"),
        head(b"GET /metrics?\xff HTTP/1.1"),
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        b"\r\n" + PLAIN,
        head(b"GET /metrics HTTP/1.1", b" folded"),
        head(b"GET /metrics HTTP/1.1", b"A: b\rc"),
        head(b"GET /metrics HTTP/1.1", b"A : b"),
        head(b"GET /metrics HTTP/1.1", b": b"),
        head(b"GET /metrics HTTP/1.1", b"A: \0"),
        head(b"GET /metrics HTTP/1.1", b"A: \xff"),
        head(b"GET /metrics HTTP/1.1", b"Host: y"),
        head(b"GET /metrics HTTP/1.1", b"A: 1", b"a: 2"),
        head(b"GET /metrics HTTP/1.1", b"Content-Length: 0"),
        head(b"GET /metrics HTTP/1.1", b"Content-Length: 5"),
        head(b"GET /metrics HTTP/1.1", b"Content-Length: 0", b"Content-Length: 5"),
        head(b"GET /metrics HTTP/1.1", b"Transfer-Encoding: chunked"),
        head(b"GET /metrics HTTP/1.1", b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        head(b"GET /metrics HTTP/1.1", b"Expect: 100-continue"),
        head(b"GET /metrics HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"),
        head(b"GET /metrics HTTP/1.1", b"Upgrade: h2c"),
        head(b"GET /metrics HTTP/1.1", b"Connection: close, TE"),
        head(b"GET /metrics HTTP/1.1", b"Trailer: x"),
        head(b"GET /metrics HTTP/1.1", b"A: " + b"a" * HEAD_BYTES_MAX),
        head(b"GET /metrics HTTP/1.1", *(b"A%d: a" % number for number in range(LINES_MAX))),
        PLAIN + b"more",
        PLAIN + PLAIN,
        PLAIN[:-2],
        PLAIN[:-4] + b"\n\n",
    ],
)
def test_what_is_unusual_is_left_to_aiohttp(data: bytes) -> None:
    assert read(data) is None


def parsed(data: bytes) -> RawRequestMessage | None:
    """What aiohttp makes of it; None if that is not one request without a body."""
    parser = HttpRequestParser(mock.Mock(), mock.Mock(spec=asyncio.AbstractEventLoop), 65536)
    try:
        messages, _, tail = parser.feed_data(data)
    except HttpProcessingError:
        return None
    if len(messages) != 1 or tail or not messages[0][1].is_eof():
        return None
    message: RawRequestMessage = messages[0][0]
    return message


PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b"?", b"&", b"=", b"#", b"%", b"%2", b"%zz", b"+"),
        *(b"\xff", b"\x7f", b"\x0b", b"Host: y\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Upgrade: x\r\n", b"A: b\r\n c\r\n"),
        *(b"GET /metrics HTTP/1.1\r\n", b"HTTP/1.0", b"/scrape?target=", b"//", b"\r\n\r\n", b"_: _\r\n"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A plain scrape with a few changes."""
    data = draw(st.sampled_from([PLAIN, head(b"GET /scrape?target=redis://a:1&x=%41 HTTP/1.1", b"A: b")]))
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(data)))
        stop = draw(st.integers(begin, min(len(data), begin + draw(st.sampled_from([0, 1, 20])))))
        piece = draw(st.one_of(PIECES, st.binary(max_size=3)))
        data = data[:begin] + piece + data[stop:]
    return data


def first_head(data: bytes) -> bytes:
    """As far as a connection gives it to the reader: no byte behind its end."""
    head, end, _ = data.partition(END)
    return head + end


def assert_read_as_by_aiohttp(data: bytes) -> None:
    """So nobody can get a request past one of the two that the other would see."""
    data = first_head(data)
    found = read(data)
    if found is None:
        return
    message = parsed(data)
    assert message is not None
    assert message.method == "GET"
    assert message.should_close is found.closes
    assert not message.upgrade
    assert not message.chunked
    assert message.url.raw_path == found.path
    assert list(message.url.query.items()) == list(found.query.items())
    assert _plain(message.headers) == _plain(found.headers)


def _plain(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """aiohttp writes names that it knows as it likes."""
    return [(name.lower(), value) for name, value in headers.items()]


@settings(max_examples=600, deadline=None)
@given(mutated())
def test_what_is_read_is_what_aiohttp_reads(data: bytes) -> None:
    assert_read_as_by_aiohttp(data)


def test_the_comparison_is_one() -> None:
    """aiohttp's parser says yes to the plain one, so that a comparison takes place."""
    assert read(PLAIN) is not None
    assert parsed(PLAIN) is not None
