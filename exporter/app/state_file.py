"""The bytes of a state file: chunks, each compressed and with its checksum.

A chunk holds records: some JSON and some blobs each. The last chunk is empty, so a file that was cut off is
known as such. A file is written beside its place and takes it by a rename: there is never a half one.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import struct
import time
import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from isal import isal_zlib

from exporter import files

#: how every state file begins, and one of this form; another form has another number
BEGINNING = b"redpoll state "
MAGIC = BEGINNING + b"1\n"
#: bytes of a file, and of one chunk before it is compressed
FILE_MAX = 512 * 1024 * 1024
CHUNK_MAX = 256 * 1024 * 1024
CHUNK = 2 * 1024 * 1024
#: threads that compress, and chunks that wait for them
COMPRESSORS, WAITING = 2, 4

_CHUNK_HEAD = struct.Struct("<II")  # length and checksum of what follows
_LENGTH = struct.Struct("<I")


class StateError(Exception):
    """A state file cannot be used, or not be written. The text says why, without its name."""


class StateRecord(NamedTuple):
    """One record. `data` is what JSON can hold."""

    data: Any
    blobs: Sequence[bytes] = ()


def check_place(path: str) -> None:
    """Whether a state file can be written there. Raises StateError."""
    with _failures():
        if os.path.isdir(path):
            raise IsADirectoryError(0, "Is a directory")
        _spare_others(path)
        os.close(_create(_beside(path)))
        os.unlink(_beside(path))


def _spare_others(path: str) -> None:
    """A rename takes the place of anything: of a device, or of a file that somebody wrote. Raises StateError
    if there is something else than a state file, or nothing."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):  # the link alone is replaced
        return
    if not stat.S_ISREG(status.st_mode):
        raise StateError("it is not a regular file")
    with contextlib.suppress(PermissionError), open(path, "rb", opener=_open) as file:
        beginning = file.read(len(BEGINNING))
        if not BEGINNING.startswith(beginning):
            raise StateError("a file is there that is no state file")


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)


def _beside(path: str) -> str:
    return f"{path}.new"


def _create(path: str) -> int:
    """A new file that only this user can read, in place of one that a stop left that was killed."""
    try:
        _spare_others(path)
    except StateError as error:
        raise StateError(f"{os.path.basename(path)} is in its way: {error}") from None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)  # the user's mask may have left less
    return descriptor


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(error.strerror or type(error).__name__) from None
    except ValueError:
        raise StateError("its name holds a character that no file's name holds") from None


# -- writing


class StateWriter:
    """Writes a file beside its place. After `finish` it is there; after `give_up`, or if anything goes wrong,
    nothing is left. One thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._size = 0
        with _failures():
            self._descriptor = _create(_beside(path))
        self._write(MAGIC)

    def add(self, records: Iterable[StateRecord], deadline: float) -> int:
        """Write records until the (monotonic) deadline. Returns how many."""
        count = 0
        waiting: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(COMPRESSORS, "state") as pool:
            for number, parts in _gather(records):
                if count and (time.monotonic() >= deadline or self._size > FILE_MAX // 2):
                    break
                while len(waiting) >= WAITING:
                    self._write(waiting.popleft().result())
                waiting.append(pool.submit(_compress, parts))
                count += number
            for chunk in waiting:
                self._write(chunk.result())
        return count

    def finish(self, records: Iterable[StateRecord]) -> None:
        """Write the last records, and put the file in its place."""
        for _, parts in _gather(records):
            self._write(_compress(parts))
        self._write(_compress([]))
        with self._cleaning(), _failures():
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            _spare_others(self._path)
            os.replace(_beside(self._path), self._path)

    def give_up(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        with contextlib.suppress(OSError):
            os.unlink(_beside(self._path))

    def _write(self, data: bytes) -> None:
        with self._cleaning(), _failures():
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self._size += len(data)

    @contextlib.contextmanager
    def _cleaning(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.give_up()
            raise


def _gather(records: Iterable[StateRecord]) -> Iterator[tuple[int, list[bytes]]]:
    """Chunks: how many records, and their bytes in parts."""
    parts: list[bytes] = []
    number = size = 0
    for record in records:
        text = json.dumps([record.data, [len(blob) for blob in record.blobs]], separators=(",", ":")).encode()
        parts += (_LENGTH.pack(len(text)), text, *record.blobs)
        number += 1
        size += len(text) + sum(map(len, record.blobs))
        if size >= CHUNK:
            yield number, parts
            parts, number, size = [], 0, 0
    if parts:
        yield number, parts


def _compress(parts: Sequence[bytes]) -> bytes:
    body: bytes = isal_zlib.compress(b"".join(parts), 1, wbits=-15)
    return _CHUNK_HEAD.pack(len(body), zlib.crc32(body)) + body


# -- reading


def read_records(path: str) -> Generator[StateRecord, None, None]:
    """The records of a file. StateError if it cannot be used; what came before is of no use then."""
    with _failures():
        if os.path.islink(path):  # the system calls each link that is not followed a loop
            raise StateError("it is a symbolic link")
        descriptor = _open(path, os.O_RDONLY)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise StateError("it is not a regular file")
            if status.st_uid != os.geteuid():
                raise StateError("it belongs to another user")
            if status.st_size > FILE_MAX:
                raise StateError(f"it holds more than {FILE_MAX} bytes")
            yield from _read_chunks(descriptor)
        finally:
            os.close(descriptor)


def _read_chunks(descriptor: int) -> Iterator[StateRecord]:
    magic = _read(descriptor, len(MAGIC))
    if magic != MAGIC:
        raise StateError("it is no state file of this version")
    while True:
        length, checksum = _CHUNK_HEAD.unpack(_read(descriptor, _CHUNK_HEAD.size))
        if length > FILE_MAX:
            raise StateError("it is damaged")
        body = _read(descriptor, length)
        if zlib.crc32(body) != checksum:
            raise StateError("it is damaged")
        try:
            plain = isal_zlib.decompressobj(-15).decompress(body, CHUNK_MAX)
            records = list(_records_of(plain))
        except Exception:  # the library does not declare the class of its own
            raise StateError("it is damaged") from None
        if not records:
            return
        yield from records


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    while size and (part := os.read(descriptor, min(size, files.CHUNK))):
        parts.append(part)
        size -= len(part)
    if size:
        raise StateError("it is cut off")
    return b"".join(parts)


def _records_of(plain: bytes) -> Iterator[StateRecord]:
    at = 0
    while at < len(plain):
        [length] = _LENGTH.unpack_from(plain, at)
        at += _LENGTH.size
        data, lengths = json.loads(plain[at : at + length])
        at += length
        blobs = []
        for each in lengths:
            blobs.append(plain[at : at + each])
            at += each
        yield StateRecord(data, blobs)
