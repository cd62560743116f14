"""Writes log lines without waiting for stderr, and counts repeated lines instead of writing them."""

from __future__ import annotations

import logging
import os
import sys
import threading
from types import TracebackType

from exporter import safe_text
from exporter.logs.lines import JsonFormatter, TextFormatter, failure_of
from exporter.logs.queue import FLUSH_S, LineWriter
from exporter.logs.repeats import Repeats

LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
}
#: how long the writer waits for those who log, before it looks again a second later
LOCK_S = 0.05
FORMATS = ("txt", "json")
#: all there is: debug lines, and those of commands
VERBOSE = "VERBOSE"
#: loggers of others whose information is no news to an operator
NOISY = ("apscheduler", "aiohttp.access", "asyncio")

log = logging.getLogger(__name__)


class LineHandler(logging.Handler):
    """Formats a record and queues its line, unless the same kind of line was written a short time ago."""

    def __init__(self, descriptor: int, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._repeats = Repeats()
        self.writer = LineWriter(
            descriptor,
            say_dropped=self._say_dropped,
            collect=self._collect,
            is_counting=lambda: self._repeats.counted > 0,
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            was_counting = self._repeats.counted
            if self._repeats.admits(record):
                self.writer.put(self._line(record))
            elif not was_counting:
                self.writer.wake()
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """In place of the base class, which writes a traceback with values to stderr."""
        name = safe_text.shorten(record.name, 100)
        self.writer.put(self._line(_record("a log line of %s could not be written", name)))

    def _line(self, record: logging.LogRecord) -> bytes:
        return safe_text.valid(self.format(record)).encode() + b"\n"

    def _say_dropped(self, count: int) -> bytes:
        are = "line was" if count == 1 else "lines were"
        return self._line(_record("%d log %s dropped: stderr was not read", count, are))

    def _collect(self, *, at_once: bool = False) -> list[bytes]:
        assert self.lock is not None
        # the end of the program holds it while it waits for the writer, which must go on with the queue
        if not self.lock.acquire(timeout=LOCK_S):
            return []
        try:
            return [self._line(record) for record in self._repeats.collect(at_once=at_once)]
        finally:
            self.lock.release()

    def close(self) -> None:
        """Write the rest, for a bounded time."""
        for line in self._collect(at_once=True):
            self.writer.put(line)
        self.writer.flush(FLUSH_S)
        self.writer.end()
        super().close()


def _record(text: str, *args: object) -> logging.LogRecord:
    """A warning about the log itself."""
    return logging.LogRecord(__name__, logging.WARNING, "", 0, text, args, None)


_handler: LineHandler | None = None


def set_up(level: str, format: str, descriptor: int | None = None) -> None:
    """Send all records of `level` (or `VERBOSE`; INFO if the name is unknown) and above to a descriptor
    (stderr by default), in place of an earlier set-up."""
    global _handler
    if descriptor is None:
        descriptor = os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else 2
    if _handler is not None:
        _handler.close()
    handler = _handler = LineHandler(descriptor, formatter(format))
    handler.setLevel(1 if level == VERBOSE else LEVELS.get(level.upper(), logging.INFO))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(handler.level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _note_exception
    threading.excepthook = _note_thread
    sys.unraisablehook = _note_unraisable


def formatter(format: str) -> logging.Formatter:
    """The formatter of `txt` or `json` lines."""
    return JsonFormatter() if format == "json" else TextFormatter()


def dropped() -> int:
    """Log lines that were not written."""
    return _handler.writer.dropped if _handler is not None else 0


def show(line: str) -> None:
    """Write one line for the user, after what was logged before."""
    line = safe_text.one_line(line)
    if _handler is not None and sys.stderr is sys.__stderr__:  # unless it was replaced
        _handler.writer.put(f"{line}\n".encode())
    elif sys.stderr is not None:
        print(line, file=sys.stderr)


def show_failure(error: Exception) -> None:
    """Show the type and place of a mistake of this program. Its text may hold any value: a secret too."""
    if _handler is not None:
        _note_exception(type(error), error, error.__traceback__)
        return
    record = _record("")
    record.exc_info = (type(error), error, error.__traceback__)
    show(f"redis_exporter: internal error (please report): {'; '.join(failure_of(record).values())}")


def flush(timeout_s: float = FLUSH_S) -> bool:
    """Wait until all that was logged is written. False if that takes too long."""
    return _handler is None or _handler.writer.flush(timeout_s)


def _note_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("internal error (please report)", exc_info=(kind, error, trace))


def _note_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread is not None else "?"
        log.error(
            "internal error in the thread %s (please report)",
            name,
            exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        )


def _note_unraisable(args: sys.UnraisableHookArgs) -> None:
    if args.exc_value is not None:
        log.error(
            "internal error in a finalizer (please report)",
            exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        )
