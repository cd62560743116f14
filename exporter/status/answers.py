"""Answers as HTML and JSON: what a browser may load, run and keep. `web.listener` adds what all answers
have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

#: a page loads and sends nothing but to this exporter, and is shown in no frame of others
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
NOT_KEPT: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store"})
HEADERS: Mapping[str, str] = MappingProxyType(
    {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", **NOT_KEPT}
)


def html_answer(text: str, status: int = 200) -> web.Response:
    """An answer with a whole page."""
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)


def json_answer(text: str) -> web.Response:
    """An answer of the API, which is JSON already."""
    return web.Response(text=text, content_type="application/json", headers=NOT_KEPT)
