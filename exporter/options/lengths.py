"""How long texts of the configuration may be: a longer one is a mistake, or too expensive."""

from __future__ import annotations

import os

#: the most that DNS can carry
HOST_MAX = 253
#: of a label within a host's name
HOST_LABEL_MAX = 63
#: a name that becomes a label's value, or a label's name
NAME_MAX = 200
#: an item of a list
ITEM_MAX = 1000
#: a file's name, a socket's path or a key
PATH_MAX = 4096
#: bytes of the path of a socket that is listened on: the kernel takes no more
SOCKET_PATH_MAX = 107
#: a user or a password, in characters
CREDENTIAL_MAX = 64 * 1024
#: an address: host, and user and password with each byte written as %hh
ADDRESS_MAX = 8 * CREDENTIAL_MAX


def fault(text: str, most: int) -> str:
    """What is wrong with the length of a text; "" for nothing."""
    return f"{len(text):,} characters are too many: the most is {most:,}" if len(text) > most else ""


def check(text: str, most: int) -> str:
    """The text itself. Raises ValueError if it is too long."""
    wrong = fault(text, most)
    if wrong:
        raise ValueError(wrong)
    return text


def check_socket_path(path: str) -> None:
    """Raises ValueError if it is too long."""
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise ValueError(f"write a path of at most {SOCKET_PATH_MAX} bytes")
