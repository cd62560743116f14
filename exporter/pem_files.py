"""Certificates, keys and authorities of TLS: read with limits, and again when their files have changed."""

from __future__ import annotations

import asyncio
import binascii
import calendar
import logging
import math
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exporter import files
from exporter.errors import ConfigError

#: how long a check of the files is good
LOOK_EVERY_S = 1.0
#: what OpenSSL calls a mistake → what the operator reads
_MISTAKES = {
    "KEY_TYPE_MISMATCH": "the key does not fit the certificate",
    "KEY_VALUES_MISMATCH": "the key does not fit the certificate",
    "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM form",
}
_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END ", re.S)
#: tags of DER
_VERSION, _UTC_TIME = 0xA0, 0x17

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file, and the flag that names it. `of_authorities`: it holds authorities that do not depend on each
    other, not one chain."""

    flag: str
    name: str
    of_authorities: bool = False

    def __str__(self) -> str:
        return f"--{self.flag}={self.name}"


class FreshContext:
    """`newest` is the TLS context that `make` reads from files. `expiries` says when the certificates of each
    file end, in Unix time: the first one of a chain, the last one of several authorities.

    Call `freshen` before each handshake: at most once in `LOOK_EVERY_S` it checks the files, and makes the
    context again when one has changed. It does so in a thread, because a network share may hang.

    At start, a ConfigError says which file cannot be used. Later, the context from before stays until the
    files can be used, and the log says so once for each change.
    """

    def __init__(
        self, given: Sequence[PemFile], make: Callable[[], ssl.SSLContext], limits: files.FileLimits
    ) -> None:
        self._given = tuple(given)
        self._names = tuple(dict.fromkeys(file.name for file in given))
        self._shown = " and ".join(map(str, given))
        self._make = make
        self._limits = limits
        self._reading = threading.Lock()
        self._read, self.newest, self.expiries = self._within(
            lambda: (_stamps(self._names), make(), self._expiries())
        )
        self._seen = self._read  # at the newest check
        self._look: asyncio.Future[None] | None = None
        self._looked_at = -math.inf

    async def freshen(self, patience_s: float) -> None:
        """Check the files, unless that was done a short time ago. Callers that come during a check wait for
        it, but not longer than `patience_s` from its beginning."""
        now = time.monotonic()
        is_over = self._look is None or self._look.done()  # after one that hangs, no second one begins
        if self._names and is_over and now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            try:
                self._look = asyncio.wrap_future(files.start(self._look_again))
            except files.FileError:
                return
        rest_s = self._looked_at + patience_s - now
        if self._look is not None and not self._look.done() and rest_s > 0:
            await asyncio.wait([self._look], timeout=rest_s)

    def renew(self) -> None:
        """Read files that have changed, whenever they were checked last. ConfigError if they cannot be used:
        the context from before stays."""
        self._within(self._read_again)

    def _within(self, function: Callable[[], T]) -> T:
        try:
            return files.within(function, self._limits.timeout_s)
        except files.FileError as error:
            raise ConfigError(f"{self._shown} cannot be read: {error}") from None

    def _look_again(self) -> None:
        """Read files that have changed. Runs in a thread, one at a time."""
        seen = self._seen
        try:
            self._read_again()
        except ConfigError as error:  # it may pass without a change of the files: too many are open, say
            if self._seen != seen:
                log.warning("the files that were read before stay in use", extra={"err": str(error)})

    def _read_again(self) -> None:
        with self._reading:
            self._seen = _stamps(self._names)
            if self._seen != self._read:
                self.newest = self._make()
                self.expiries = self._expiries()
                self._read = self._seen
                log.info("read again: %s", ", ".join(self._names))

    def _expiries(self) -> Mapping[PemFile, float]:
        found: dict[PemFile, float] = {}
        for file in self._given:
            try:
                with files.noting(None):
                    ends = expiries(files.read(file.name, self._limits.max_bytes))
            except files.FileError:  # it was there a moment ago
                continue
            if ends:
                found[file] = max(ends) if file.of_authorities else min(ends)
        return found


def expiries(pem: bytes) -> list[float]:
    """When each certificate of a PEM file ends, in Unix time. One that cannot be read is left out."""
    return [end for body in _CERTIFICATE.findall(pem) if (end := _expiry(body)) is not None]


def _expiry(body: bytes) -> float | None:
    """Of one certificate, in base64. Python reads this only of certificates that a handshake brings."""
    try:
        der = binascii.a2b_base64(body)
        [(_, certificate), *_] = _elements(der)
        [(_, signed), *_] = _elements(certificate)
        fields = [value for tag, value in _elements(signed) if tag != _VERSION]
        _, _, _, validity, *_ = fields  # after serial, algorithm and issuer
        _, (tag, until) = _elements(validity)
        text = until.decode("ascii")
        if tag == _UTC_TIME:  # two digits of the year, 1950 to 2049
            text = ("20" if text[:2] < "50" else "19") + text
        return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))
    except ValueError:  # binascii.Error and UnicodeDecodeError are such
        return None


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each element. Raises ValueError if one is cut."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], *_length(der, at + 1)
        if at + length > len(der):
            raise ValueError("an element is cut")
        yield tag, der[at : at + length]
        at += length


def _length(der: bytes, at: int) -> tuple[int, int]:
    """The length that stands there, and where the value begins."""
    first = der[at : at + 1]
    if not first:
        raise ValueError("an element is cut")
    if first[0] < 0x80:
        return first[0], at + 1
    end = at + 1 + first[0] - 0x80
    return int.from_bytes(der[at + 1 : end], "big"), end


def _stamps(names: Sequence[str]) -> tuple[files.Stamp, ...]:
    return tuple(map(files.stamp, names))


def load_pair(context: ssl.SSLContext, cert: PemFile, key: PemFile, max_bytes: int) -> None:
    """What the context shows of itself. Raises ConfigError."""

    def refuse() -> str:
        raise ConfigError(f"{key} is encrypted: write a key without a password")

    _check(cert, max_bytes)
    _check(key, max_bytes)
    try:
        context.load_cert_chain(cert.name, key.name, password=refuse)
    except OSError as error:
        raise ConfigError(f"{cert} and {key} cannot be used: {_why(error)}") from None


def load_authorities(context: ssl.SSLContext, file: PemFile, max_bytes: int) -> None:
    """Whom the context trusts. Raises ConfigError."""
    _check(file, max_bytes)
    try:
        context.load_verify_locations(file.name)
    except OSError as error:
        raise ConfigError(f"{file} cannot be used: {_why(error)}") from None
    if not context.cert_store_stats()["x509"]:
        raise ConfigError(f"{file} cannot be used: it holds no certificate")


def trust_each(context: ssl.SSLContext) -> None:
    """Make every trusted certificate an anchor: an issuing authority that is not self-signed, or a server's
    own certificate. And leave off the strict checks that Python adds from 3.13 on: they refuse chains that
    other programs take."""
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT


def _check(file: PemFile, max_bytes: int) -> None:
    """OpenSSL itself would wait for a FIFO, and read a device without end."""
    try:
        with files.noting(None):  # `FreshContext` looks whether it changes
            files.read(file.name, max_bytes)
    except files.FileError as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "not in PEM form"
        return _MISTAKES.get(reason) or reason.replace("_", " ").lower()
    return error.strerror or str(error)
