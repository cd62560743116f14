"""A limit for the whole time that something takes. The limits of sockets start again with each byte, so a
server that sends one now and then holds a command for good; and no limit of a socket holds for the lookup of
a name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(timeout_s: float, function: Callable[[], T]) -> T:
    """What `function` gives, called in a thread that does not keep the program alive. TimeoutError if it
    takes longer; it may still end later."""
    outcome: Future[T] = Future()

    def call() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=call, name="time-limit", daemon=True).start()
    return outcome.result(timeout_s)
