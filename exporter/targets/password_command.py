"""A command of the operator whose output is a password, as it is configured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PasswordCommand:
    """`args` are the program and its arguments; no shell reads them. `name` is the program as the operator
    wrote it, for messages. The password is used for `ttl_s`, or until a server refuses it. `secrets` may not
    be shown of what it writes to stderr."""

    args: tuple[str, ...] = field(repr=False)
    name: str
    ttl_s: float = math.inf
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)
