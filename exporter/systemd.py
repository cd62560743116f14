"""What systemd hands to a service in its environment: whom the variables are meant for, and open sockets.

sd_listen_fds(3) has the rules.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

#: the first descriptor that is handed over
FIRST_DESCRIPTOR = 3
#: more are a mistake
DESCRIPTORS_MAX = 1000


class GivenSocket(NamedTuple):
    """A socket that systemd opened, with the name that its unit gives it (`FileDescriptorName=`)."""

    name: str
    descriptor: int


def is_meant_for_us(pid: str) -> bool:
    """Whether a variable that systemd set for the process `pid` is for this program. A one-file build runs as
    the child of its loader, which is the process that systemd started."""
    return pid == str(os.getpid()) or (hasattr(sys, "_MEIPASS") and pid == str(os.getppid()))


def given_sockets(environ: Mapping[str, str]) -> tuple[GivenSocket, ...]:
    """The sockets that are meant for this process."""
    count = environ.get("LISTEN_FDS", "")
    if not is_meant_for_us(environ.get("LISTEN_PID", "")) or not (count.isascii() and count.isdigit()):
        return ()
    numbers = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + min(int(count), DESCRIPTORS_MAX))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    return tuple(
        GivenSocket(names[place] if place < len(names) else "", number)
        for place, number in enumerate(numbers)
    )
