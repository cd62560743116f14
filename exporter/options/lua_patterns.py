"""Checks patterns of Lua 5.1, which Redis has. The matching happens in the server. Pure."""

from __future__ import annotations

#: captures of one pattern, as Lua counts them
CAPTURES_MAX = 32
#: a pattern without these is a plain text
SPECIALS = frozenset("^$*+?.([%-")
_ENDS = "it ends with a single %: write %% for the sign itself"


def fault_of(pattern: str) -> str:
    """What is wrong with it; "" for nothing. A fault that Lua finds with some names only counts too."""
    if not SPECIALS.intersection(pattern):
        return ""
    at = 0
    open_captures: list[int] = []
    captures = 0
    while at < len(pattern):
        sign, following = pattern[at], pattern[at + 1 : at + 2]
        at += 1
        if sign == "(":
            captures += 1
            if captures > CAPTURES_MAX:
                return f"it has more than {CAPTURES_MAX} captures"
            open_captures.append(captures)
        elif sign == ")":
            if not open_captures:
                return "a ) has no ( before it: write %) for the sign itself"
            open_captures.pop()
        elif sign == "[":
            at = _end_of_set(pattern, at)
            if not at:
                return "a [ has no ] after it: write %[ for the sign itself"
        elif sign == "%":
            at += 1
            if not following:
                return _ENDS
            if following == "b" and len(pattern) < at + 2:
                return "%b needs two signs after it, as in %b()"
            if following == "b":
                at += 2
            elif following == "f" and pattern[at : at + 1] != "[":
                return "%f needs a set after it, as in %f[%w]"
            elif following in "0123456789" and (
                not 0 < int(following) <= captures or int(following) in open_captures
            ):
                return f"%{following} stands for a capture that does not exist"
    return "a ( has no ) after it: write %( for the sign itself" if open_captures else ""


def _end_of_set(pattern: str, at: int) -> int:
    """The place after a set; 0 if the set has no end. A ] that comes first is one of its characters."""
    if pattern[at : at + 1] == "^":
        at += 1
    first = at
    while at < len(pattern):
        if pattern[at] == "]" and at > first:
            return at + 1
        at += 2 if pattern[at] == "%" else 1
    return 0
