"""The headers of pages: what a browser may load, run and keep."""

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
NO_SNIFF = MappingProxyType({"X-Content-Type-Options": "nosniff"})
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        **NO_SNIFF,
    }
)


def html_answer(text: str, status: int = 200) -> web.Response:
    """An answer with a whole page."""
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)
