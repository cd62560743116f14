"""Hides users and passwords in values of options, whatever characters these hold."""

from __future__ import annotations

import re

from exporter import safe_text

HIDDEN = "***"
LENGTH_MAX = 100_000
#: the end of a longer scheme is enough: without a bound, letters alone would take quadratic time
_URL = re.compile(r"([a-z][a-z0-9+.-]{0,30}://)[^\s,/]*@", re.IGNORECASE)
_VALUE = re.compile(r"([?&;#,]([\w-]+)=)[^&;#,\s]+")
#: names of values that are secrets, as far as names show
SECRET_NAME = re.compile(r"passw|pwd|secret|token|credential|auth|api-?_?key|\A(?:pass|key)\Z", re.IGNORECASE)


def mask_addresses(text: str) -> str:
    """A list of addresses without the text before an @, and without the values of a query other than the
    database: it hides too much rather than too little."""
    addresses = re.split(r",(?=\s*[a-z]+://)", text, flags=re.IGNORECASE)
    return safe_text.one_line(",".join(map(_mask_address, addresses)), LENGTH_MAX)


def _mask_address(address: str) -> str:
    head, mark, query = re.sub(
        r"^(\s*[a-zA-Z]+://)?.*@", rf"\1{HIDDEN}@", address, flags=re.DOTALL
    ).partition("?")
    if not mark or re.fullmatch(r"db=[0-9]+", query):
        return head.partition("#")[0] + ("#" + HIDDEN if "#" in head else "") + mark + query
    names = [part.partition("=")[0] for part in re.split("[&;]", query) if "=" in part]
    return head + mark + ("&".join(f"{name}={HIDDEN}" for name in names) if names else HIDDEN)


def mask(text: str) -> str:
    """The value of any other option: without user and password in an address, and without values of a query
    that look like secrets."""
    return safe_text.one_line(_VALUE.sub(_mask_value, _URL.sub(rf"\1{HIDDEN}@", text)), LENGTH_MAX)


def _mask_value(match: re.Match[str]) -> str:
    return match[1] + HIDDEN if SECRET_NAME.search(match[2]) else match[0]
