"""Certificates, keys and authorities of TLS: read with limits, and again when their files have changed."""

from __future__ import annotations

import asyncio
import binascii
import calendar
import contextlib
import logging
import math
import os
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from exporter import files, masks
from exporter.errors import ConfigError

#: how long a check of the files is good
LOOK_EVERY_S = 1.0
#: what OpenSSL calls a mistake → what the operator reads
_MISTAKES = {
    "KEY_TYPE_MISMATCH": "the key does not fit the certificate",
    "KEY_VALUES_MISMATCH": "the key does not fit the certificate",
    "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM form",
}
_NO_PEM = "not in PEM form"
_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END ", re.S)
#: tags of DER
_VERSION, _UTC_TIME = 0xA0, 0x17

log = logging.getLogger(__name__)
T = TypeVar("T")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file, and the flag that names it; `place` is where another file names it instead. With a `text` there
    is no file: that is its content. `of_authorities`: it holds authorities that do not depend on each other,
    not one chain."""

    flag: str
    name: str
    of_authorities: bool = False
    place: str = ""
    text: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.place or f"--{self.flag}={masks.mask(self.name)}"


class FreshFiles(Generic[T]):
    """`newest` is what `make` gives, which reads the files of these names. `shown` names them in errors.

    Call `freshen` or `look` before each use: at most once in `LOOK_EVERY_S` the files are checked, and it is
    made again when one has changed. That happens in a thread, because a network share may hang.

    At start, a ConfigError says which file cannot be used. Later, what was made before stays until the files
    can be used, and the log says so once for each change.
    """

    def __init__(
        self, names: Sequence[str], make: Callable[[], T], shown: str, limits: files.FileLimits
    ) -> None:
        self._names = tuple(dict.fromkeys(filter(None, names)))
        self._shown = shown
        self._make = make
        self._limits = limits
        self._reading = threading.Lock()
        # without a file nothing is waited for, and what goes wrong is not that one cannot be read
        read = self._within if self._names else _at_once
        self._read, self.newest = read(lambda: (_stamps(self._names), make()))
        self._seen = self._read  # at the newest check
        self._look: asyncio.Future[None] | None = None
        self._looked_at = -math.inf

    def look(self) -> None:
        """Begin a check of the files, unless that was done a short time ago. Nobody waits for it."""
        now = time.monotonic()
        if not self._names or now - self._looked_at < LOOK_EVERY_S:
            return
        if self._look is None or self._look.done():  # after one that hangs, no second one begins
            self._looked_at = now
            with contextlib.suppress(files.FileError):
                self._look = asyncio.wrap_future(files.start(self._look_again))

    async def freshen(self, patience_s: float) -> None:
        """The same, and wait for a check that runs, but not longer than `patience_s` from its beginning."""
        self.look()
        rest_s = self._looked_at + patience_s - time.monotonic()
        if self._look is not None and not self._look.done() and rest_s > 0:
            await asyncio.wait([self._look], timeout=rest_s)

    def renew(self) -> None:
        """Read files that have changed, whenever they were checked last. ConfigError if they cannot be used:
        the context from before stays."""
        self._within(self._read_again)

    def _within(self, function: Callable[[], Made]) -> Made:
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
                self._read = self._seen
                log.info("read again: %s", ", ".join(map(masks.mask, self._names)))


class FreshContext(FreshFiles[ssl.SSLContext]):
    """`newest` is the TLS context that `make` reads from the `given` files. `expiries` says when the
    certificates of each file end, in Unix time: the first one of a chain, the last one of several
    authorities."""

    def __init__(
        self, given: Sequence[PemFile], make: Callable[[], ssl.SSLContext], limits: files.FileLimits
    ) -> None:
        self._given = tuple(given)
        self._make_context = make
        self.expiries: Mapping[PemFile, float] = {}
        shown = " and ".join(map(str, given))
        super().__init__([file.name for file in given], self._made, shown, limits)

    def _made(self) -> ssl.SSLContext:
        context = self._make_context()
        self.expiries = self._expiries()
        return context

    def _expiries(self) -> Mapping[PemFile, float]:
        found: dict[PemFile, float] = {}
        for file in self._given:
            try:
                with files.noting(None):
                    ends = expiries(content_of(file, self._limits.max_bytes))
            except files.FileError:  # it was there a moment ago
                continue
            if ends:
                found[file] = max(ends) if file.of_authorities else min(ends)
        return found


def content_of(file: PemFile, max_bytes: int) -> bytes:
    """What it holds. Raises FileError."""
    return file.text.encode() if file.text else files.read(file.name, max_bytes)


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


def _at_once(function: Callable[[], Made]) -> Made:
    return function()


def _stamps(names: Sequence[str]) -> tuple[files.Stamp, ...]:
    return tuple(map(files.stamp, names))


def load_pair(context: ssl.SSLContext, cert: PemFile, key: PemFile, max_bytes: int) -> None:
    """What the context shows of itself. Raises ConfigError."""

    def refuse() -> str:
        raise ConfigError(f"{key} is encrypted: write a key without a password")

    _check(cert, max_bytes)
    _check(key, max_bytes)
    try:
        with _path_of(cert) as cert_path, _path_of(key) as key_path:
            context.load_cert_chain(cert_path, key_path, password=refuse)
    except OSError as error:
        why = _why(error)
        if why == _NO_PEM:  # also if each of them is in the place of the other
            why = "the first must hold a certificate and the second its key, both in PEM form"
        raise ConfigError(f"{cert} and {key} cannot be used: {why}") from None


@contextlib.contextmanager
def _path_of(file: PemFile) -> Iterator[str]:
    """A path that OpenSSL can read: it takes a certificate and a key of its own from files alone. A text is
    in a file without a name meanwhile, in memory where the system has such files."""
    if not file.text:
        yield file.name
        return
    has_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("pem"), "w+b") if has_memory else tempfile.TemporaryFile() as holder:
        holder.write(file.text.encode())
        holder.flush()
        holder.seek(0)
        yield f"/dev/fd/{holder.fileno()}"


def load_authorities(context: ssl.SSLContext, file: PemFile, max_bytes: int) -> None:
    """Whom the context trusts. Raises ConfigError."""
    _check(file, max_bytes)
    try:
        if file.text:
            context.load_verify_locations(cadata=file.text)
        else:
            context.load_verify_locations(file.name)
    except (OSError, TypeError) as error:  # TypeError: a text that is not ASCII
        why = _why(error) if isinstance(error, OSError) else _NO_PEM
        raise ConfigError(f"{file} cannot be used: {why}") from None
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
            content_of(file, max_bytes)
    except files.FileError as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        return _MISTAKES.get(reason) or reason.replace("_", " ").lower() or _NO_PEM
    return error.strerror or str(error)
