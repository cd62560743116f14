"""Values of options as they may be shown: without users and passwords, whatever characters those hold."""

from __future__ import annotations

import re

from exporter import texts

HIDDEN = "***"
LENGTH_MAX = 100_000
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s,/]*@", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"([?&;#,](?:[\w-]*(?:passw|pwd|secret|token|credential|auth|api-?_?key)[\w-]*|pass|key)=)[^&;#,\s]+", re.IGNORECASE
)


def mask_addresses(text: str) -> str:
    """A list of addresses without what stands before an @, and without values of a query but the database's: too much rather than
    too little."""
    addresses = re.split(r",(?=\s*[a-z]+://)", text, flags=re.IGNORECASE)
    return texts.one_line(",".join(map(_mask_address, addresses)), LENGTH_MAX)


def _mask_address(address: str) -> str:
    head, mark, query = re.sub(r"^(\s*[a-zA-Z]+://)?.*@", rf"\1{HIDDEN}@", address, flags=re.DOTALL).partition("?")
    if not mark or re.fullmatch(r"db=[0-9]+", query):
        return head.partition("#")[0] + ("#" + HIDDEN if "#" in head else "") + mark + query
    names = [part.partition("=")[0] for part in re.split("[&;]", query) if "=" in part]
    return head + mark + ("&".join(f"{name}={HIDDEN}" for name in names) if names else HIDDEN)


def mask(text: str) -> str:
    """The value of any other option: an address in it loses its user and password, and a query the values that look like secrets."""
    return texts.one_line(_SECRET_VALUE.sub(rf"\1{HIDDEN}", _URL.sub(rf"\1{HIDDEN}@", text)), LENGTH_MAX)
