"""Reading the files that the options name: regular files of a limited size, within a limited time.

A name may stand for anything: a FIFO that nobody writes, a device without an end, a share whose server is
gone. A read can then hang in the kernel for good. So it happens in a thread that holds up neither the event
loop nor the end of the program.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TypeVar

#: reads that hang; beyond them no more are begun
READERS_MAX = 8
CHUNK = 256 * 1024

_KINDS = (
    (stat.S_ISDIR, "Is a directory"),
    (stat.S_ISFIFO, "it is a FIFO, not a regular file"),
    (stat.S_ISSOCK, "it is a socket, not a regular file"),
    (stat.S_ISCHR, "it is a device, not a regular file"),
    (stat.S_ISBLK, "it is a device, not a regular file"),
)
_readers = threading.BoundedSemaphore(READERS_MAX)
T = TypeVar("T")

#: what changes when a file is replaced or written; () for one that is missing
Stamp = tuple[int, ...]
#: the stamps of files, by name
Noted = dict[str, Stamp]
_noted: ContextVar[Noted | None] = ContextVar("noted", default=None)


class FileError(Exception):
    """A file is not read; the text says why, without its name."""


class NoTextError(FileError):
    """A file that should hold text is not in UTF-8."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """How large a file may be, and how long reading it may take."""

    max_bytes: int = 8 * 1024 * 1024
    timeout_s: float = 10.0


DEFAULT = FileLimits()


def stamp(name: str) -> Stamp:
    """The stamp that a file has now."""
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev


@contextmanager
def noting(noted: Noted | None, before: Noted | None = None) -> Iterator[None]:
    """Note each file that is read meanwhile, well or not, in this thread or in one that it starts here: its
    name and its stamp from before that. None: note nothing, because somebody else looks whether it changes.

    After an error those of `before` that were not reached are noted too, as they are then: nothing that was
    read is used, so they are as good as read.
    """
    token = _noted.set(noted)
    try:
        yield
    except BaseException:
        if noted is not None and before is not None:
            noted.update({name: stamp(name) for name in before if name not in noted})
        raise
    finally:
        _noted.reset(token)


def changed(stamps: Mapping[str, Stamp]) -> bool:
    """Whether any of these files has another stamp now."""
    return any(stamp(name) != before for name, before in stamps.items())


def read(name: str, max_bytes: int = DEFAULT.max_bytes) -> bytes:
    """What a file holds, read in this thread: see `within` and `off_loop`. Raises FileError."""
    noted = _noted.get()
    if noted is not None:
        noted.setdefault(name, stamp(name))
    try:
        _refuse_kinds(os.stat(name).st_mode)  # to open a device may do something
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            _refuse_kinds(os.fstat(descriptor).st_mode)
            return _read(descriptor, max_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FileError(error.strerror or type(error).__name__) from None
    except ValueError:
        raise FileError("its name holds a character that no file's name holds") from None


def _refuse_kinds(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise FileError(next((text for is_kind, text in _KINDS if is_kind(mode)), "it is not a regular file"))


def _read(descriptor: int, max_bytes: int) -> bytes:
    chunks = []
    rest = max_bytes + 1
    while rest and (chunk := os.read(descriptor, min(CHUNK, rest))):
        chunks.append(chunk)
        rest -= len(chunk)
    if not rest:
        raise FileError(f"it holds more than {max_bytes} bytes, the limit of --files.max-bytes")
    return b"".join(chunks)


def read_text(name: str, max_bytes: int = DEFAULT.max_bytes) -> str:
    """The same of a file in UTF-8, with or without a byte order mark."""
    try:
        return read(name, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoTextError("the file is not UTF-8: save it as UTF-8") from None


def within(function: Callable[[], T], timeout_s: float) -> T:
    """What `function` gives, called in a thread of its own. FileError if it takes longer; it may still end
    later."""
    outcome = start(function)
    try:
        return outcome.result(timeout_s)
    except TimeoutError:
        return _late(outcome, timeout_s)


def fetch(name: str, limits: FileLimits = DEFAULT) -> bytes:
    """What a file holds, read in a thread of its own. Raises FileError."""
    return within(lambda: read(name, limits.max_bytes), limits.timeout_s)


async def off_loop(function: Callable[[], T]) -> T:
    """Call `function` in a thread while the event loop goes on. The readings in it have their own limits."""
    return await asyncio.wrap_future(start(function))


def _late(outcome: Future[T], timeout_s: float) -> T:
    """What ended in the very moment of the limit counts, and so does a TimeoutError of its own."""
    if outcome.done():
        return outcome.result()
    raise FileError(f"reading took longer than {timeout_s:g} s, the limit of --files.timeout")


def start(function: Callable[[], T], places: threading.Semaphore = _readers) -> Future[T]:
    """Call `function` in a daemon thread. FileError if all places are taken by calls that hang."""
    if not places.acquire(blocking=False):
        raise FileError("too many reads of files hang already")
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # nobody can cancel it
    context = copy_context()

    def run() -> None:
        try:
            result = context.run(function)
        except BaseException as error:
            places.release()
            outcome.set_exception(error)
        else:
            places.release()
            outcome.set_result(result)

    try:
        threading.Thread(target=run, name="file", daemon=True).start()
    except RuntimeError:
        places.release()
        raise FileError("the system gives no thread to read it in") from None
    return outcome
