"""Texts of servers as they may be shown: without the secrets of their target, on one line, of a bounded length. Pure.

A server can repeat what it was sent: an old one answers an unknown AUTH with its arguments, a hostile one anything with anything.
So a text of a server is cleaned where an error is made of it, and nothing that is made of the error needs to know.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

from exporter import texts

MASK = "***"
#: characters of a server's text that are shown
SHOWN_MAX = 200
#: characters of it that are looked at
READ_MAX = 4096
#: a shorter secret is masked only where it stands alone: within words it would mask what is none
SHORT = 4
#: a longer secret is found by its beginning: servers cut what they repeat
HEAD = 16
#: targets whose secrets are kept ready; most share them
KEPT_MAX = 1024

_SCHEME = re.compile(r"\b[a-z]+://", re.IGNORECASE)
#: what an address may be part of
_RUN = re.compile(r"[^\s\"']+")


class Redaction:
    """Cleans texts of the servers that have this user and password."""

    def __init__(self, user: str = "", password: str = "") -> None:
        forms = sorted(set(_forms(texts.given_bytes(user), texts.given_bytes(password))), key=len, reverse=True)
        self._long = [(re.compile(re.escape(form[:HEAD]), re.IGNORECASE), form[HEAD:].lower()) for form in forms if len(form) >= SHORT]
        short = [re.escape(form) for form in forms if len(form) < SHORT]
        self._short = re.compile(rf"(?<!\w)(?:{'|'.join(short)})(?!\w)") if short else None

    def clean(self, text: str) -> str:
        """At most `SHOWN_MAX` characters of a text, valid UTF-8 on one line, with `***` for each secret."""
        is_cut = len(text) > READ_MAX
        text = text[:READ_MAX]
        for head, rest in self._long:
            text = _mask(text, head, rest)
        if self._short is not None:
            text = self._short.sub(MASK, text)
        if is_cut:  # it may end with the beginning of a secret
            text = f"{text[:-HEAD]}…"
        return texts.one_line(_mask_userinfo(text), SHOWN_MAX)


def _mask(text: str, head: re.Pattern[str], rest: str) -> str:
    """Mask each place where a secret begins, as far as it goes on there."""
    parts = []
    at = 0
    for match in head.finditer(text):
        if match.start() < at:
            continue
        parts += [text[at : match.start()], MASK]
        at = match.end()
        for expected in rest:
            if text[at : at + 1].lower() != expected:
                break
            at += 1
    return "".join([*parts, text[at:]])


def _mask_userinfo(text: str) -> str:
    """Mask user and password in addresses, in time that grows with the text: one expression for all of it takes the square of that."""
    return _RUN.sub(_mask_run, text) if "://" in text and "@" in text else text


def _mask_run(run: re.Match[str]) -> str:
    """From the first scheme to the last @, for a password may hold one."""
    scheme, at = _SCHEME.search(run[0]), run[0].rfind("@")
    return f"{run[0][: scheme.end()]}{MASK}{run[0][at:]}" if scheme and at >= scheme.end() else run[0]


def _forms(user: bytes, password: bytes) -> Iterator[str]:
    """What a server can make of a password: as it is, percent-encoded, escaped as in its logs, in base64, in hexadecimal digits."""
    if not password:
        return
    yield password.decode("utf-8", "replace")
    yield password.decode("utf-8", "surrogateescape")
    yield password.decode("latin-1")
    for safe in ("/", ""):
        yield quote(password, safe=safe)
    escaped = str(password)[2:-1]
    yield escaped
    yield escaped.replace('"', '\\"')
    yield escaped.replace("\\'", "'")
    if len(password) >= SHORT:
        yield password.hex()
        for words in (password, user + b":" + password, b":" + password):
            yield b64encode(words).decode().rstrip("=")
            yield urlsafe_b64encode(words).decode().rstrip("=")


#: of a target without a password
NOTHING = Redaction()


@lru_cache(KEPT_MAX)
def redaction_of(user: str, password: str) -> Redaction:
    """Targets that share a user and a password share this."""
    return Redaction(user, password) if password else NOTHING
