"""Answers as values and as bytes: the same for both protocols that answer requests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

_ERRORS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """A status and a few words. `headers` are those besides the type and what every answer has."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


class CommonHeaders:
    """What every answer has besides its own headers: `values` by name, and as `lines`, ready to be written.
    Those that the operator has `given` win."""

    __slots__ = ("lines", "values")

    def __init__(self, given: Mapping[str, str] = MappingProxyType({})) -> None:
        self.values = {"X-Content-Type-Options": "nosniff", **given}
        self.lines = "".join([f"{name}: {value}\r\n" for name, value in self.values.items()])


#: where the operator gives none
USUAL = CommonHeaders()


def response_of(answer: TextAnswer) -> web.Response:
    """The same for aiohttp, which adds the rest of the head."""
    return web.Response(status=answer.status, text=answer.text, headers=answer.headers)


def text_bytes(answer: TextAnswer, *, closes: bool, common: CommonHeaders = USUAL) -> bytes:
    """The whole answer, head and text. `closes`: the connection is closed after it."""
    text = answer.text.encode()
    headers = {"Content-Type": "text/plain; charset=utf-8", **answer.headers}
    return head_bytes(answer.status, headers, len(text), closes=closes, common=common) + text


def head_bytes(
    status: int, headers: Mapping[str, str], length: int, *, closes: bool, common: CommonHeaders = USUAL
) -> bytes:
    """The head of an answer of `length` bytes: what aiohttp and `Listener` write for the same answer."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    end = "Connection: close\r\n\r\n" if closes else "\r\n"
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}Content-Length: {length}\r\n"
        f"{common.lines}Date: {_date.now()}\r\n{end}"
    ).encode("latin-1")


class _Date:
    """The time of answers, which is written once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


_date = _Date()


def bare_answer(status: int) -> bytes:
    """A whole answer, after which the connection is closed. It repeats nothing of the request."""
    text = _ERRORS[status] + b"\n"
    head = (
        b"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    )
    return head % (status, _ERRORS[status], len(text)) + text
