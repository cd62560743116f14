"""Basic authentication of the exporter's own endpoint: one user, with a password or a bcrypt hash of it.

https://www.rfc-editor.org/rfc/rfc7617
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import re

import bcrypt

from exporter.errors import ConfigError

CHALLENGE = 'Basic realm="redis-exporter", charset="UTF-8"'
_HASH = re.compile(r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}\Z")
#: bytes of a password that bcrypt looks at
_BCRYPT_MAX = 72


class BasicAuth:
    """Tells whether a request may be answered.

    A hash takes bcrypt a good part of a second, on purpose: it is checked in a thread, one at a time, and the password
    that was right is remembered by a digest under a key of this process.
    """

    def __init__(self, username: str, password: str = "", password_hash: str = "") -> None:
        if password and password_hash:
            raise ConfigError("--basic-auth-password and --basic-auth-hash-password are both set: keep one of them")
        if not username or not (password or password_hash):
            raise ConfigError("basic authentication is half set: write --basic-auth-username and a password or hash, or none of them")
        if password_hash and not _HASH.match(password_hash):
            raise ConfigError("--basic-auth-hash-password is no bcrypt hash: write one such as htpasswd -nB prints, beginning with $2")
        self._username = username.encode()
        self._hash = password_hash.encode()
        self._key = os.urandom(32)
        self._right: bytes | None = self._digest(password.encode()) if password else None
        self._checking = asyncio.Lock()

    async def accepts(self, header: str) -> bool:
        """Of the value of the header Authorization, "" where there is none. Takes as long whatever is wrong."""
        username, password = _credentials(header)
        is_user = hmac.compare_digest(username, self._username)
        return await self._is_right(password) and is_user

    async def _is_right(self, password: bytes) -> bool:
        digest = self._digest(password)
        if self._right is not None and hmac.compare_digest(digest, self._right):
            return True
        if not self._hash:
            return False
        async with self._checking:
            if digest != self._right:  # which whoever waited here before may have found out
                right = await asyncio.get_running_loop().run_in_executor(None, _matches, password, self._hash)
                if not right:
                    return False
                self._right = digest
        return True

    def _digest(self, password: bytes) -> bytes:
        return hmac.digest(self._key, password, hashlib.sha256)


def _credentials(header: str) -> tuple[bytes, bytes]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b"", b""
    try:
        username, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b"", b""
    return username, password


def _matches(password: bytes, password_hash: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:_BCRYPT_MAX], password_hash)
    except ValueError:  # with a NUL
        return False
