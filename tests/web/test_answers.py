"""Answers as values, as aiohttp's, and as bytes."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest

from exporter.web.answers import (
    CommonHeaders,
    TextAnswer,
    bare_answer,
    head_bytes,
    response_of,
    text_bytes,
)
from tests.store_fixture import PATIENCE_S


def test_status_words_and_headers_are_those_of_the_answer() -> None:
    response = response_of(TextAnswer(429, "too many\n", {"Retry-After": "1"}))
    assert (response.status, response.text) == (429, "too many\n")
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_there_may_be_none_but_the_type() -> None:
    response = response_of(TextAnswer(403, "no\n"))
    assert {*response.headers} == {"Content-Type"}


def test_the_whole_as_bytes() -> None:
    data = text_bytes(TextAnswer(401, "Unauthorized\n", {"WWW-Authenticate": "Basic"}), closes=False)
    head, _, text = data.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    assert (status, text) == (b"HTTP/1.1 401 Unauthorized", b"Unauthorized\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    date = parsedate_to_datetime(headers.pop(b"Date").decode())
    assert abs(date.timestamp() - time.time()) < PATIENCE_S
    assert headers == {
        b"Content-Type": b"text/plain; charset=utf-8",
        b"WWW-Authenticate": b"Basic",
        b"Content-Length": b"13",
        b"X-Content-Type-Options": b"nosniff",
    }


def test_the_last_answer_on_a_connection_says_so() -> None:
    assert b"Connection: close" not in head_bytes(200, {}, 0, closes=False)
    assert head_bytes(200, {}, 0, closes=True).endswith(b"\r\nConnection: close\r\n\r\n")


def test_headers_of_the_operator_come_with_every_answer_and_win() -> None:
    common = CommonHeaders({"Strict-Transport-Security": "max-age=60"})
    assert common.lines == "X-Content-Type-Options: nosniff\r\nStrict-Transport-Security: max-age=60\r\n"
    for data in (
        head_bytes(200, {}, 0, closes=False, common=common),
        text_bytes(TextAnswer(403, "no\n"), closes=True, common=common),
    ):
        assert common.lines.encode() in data
    assert CommonHeaders({"X-Content-Type-Options": "other"}).lines == "X-Content-Type-Options: other\r\n"


@pytest.mark.parametrize("status", [400, 408, 413, 431, 500, 503])
def test_a_bare_answer_is_whole(status: int) -> None:
    head, _, text = bare_answer(status).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d %s\r\n" % (status, text.strip()))
    assert b"\r\nContent-Length: %d\r\n" % len(text) in head
    assert head.endswith(b"\r\nConnection: close")
