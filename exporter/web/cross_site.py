"""Where a request comes from, as far as its headers say: a page of this exporter, another page, or a program.

Somebody who may reach the exporter also reads pages of others. Such a page can make the browser send any
request here, but it can change little of what the browser says about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

#: how the name of every browser begins, for a reason that is older than all of them
BROWSER = "Mozilla/"

NOT_FOR_PAGES = "not for web pages: send the request with a program, such as curl\n"


def is_of_this_site(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers comes from a page of ours, as far as a browser says: newer ones
    name the site, all name the origin of a form. A program says nothing."""
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        place = urlsplit(origin).netloc.lower()  # behind a proxy that ends TLS the scheme differs
    except ValueError:
        return False
    return place == headers.get("Host", "").lower() != ""


def is_of_a_browser(headers: Mapping[str, str]) -> bool:
    """Whether a web page sent it."""
    return "Origin" in headers or "Sec-Fetch-Site" in headers


def is_of_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a web page may have sent it, of any site. On HTTPS browsers say what a request is for: `none`
    is an address that somebody typed. On plain HTTP some requests of pages have only the browser's name."""
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site != "none"
    return "Origin" in headers or "Referer" in headers or headers.get("User-Agent", "").startswith(BROWSER)
