"""Signals from the first moment of the command to its last.

Python's own handlers are not enough: as process 1 of a container a program has no default actions, so a
SIGTERM before the event loop runs would be lost, and a SIGINT during the imports shows a traceback. This
module imports nothing that takes time, because `catch` is the first thing that the command does.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)
RELOADING = signal.SIGHUP

_listener: Callable[[int], object] | None = None


def catch() -> None:
    """Before somebody listens, SIGTERM and SIGINT end the process at once, and SIGHUP does nothing: what it
    asks to be read again has not been read yet."""
    for number in (*ENDING, RELOADING):
        signal.signal(number, _take)


def listen(listener: Callable[[int], object] | None) -> None:
    """Call `listener` with each signal from now on. It runs in the main thread, between any two steps of
    it."""
    global _listener
    _listener = listener


def ignore() -> None:
    """Let no signal change how the process ends."""
    for number in (*ENDING, RELOADING):
        signal.signal(number, signal.SIG_IGN)


def _take(number: int, frame: FrameType | None) -> None:
    if _listener is not None:
        _listener(number)
    elif number != RELOADING:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # so that the parent sees what ended it
        os._exit(128 + number)  # process 1 is still there
