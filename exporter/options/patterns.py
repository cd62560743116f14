"""Regular expressions of the operator, for names that servers give.

A server can give a name that takes an expression hours. So each search has a time limit, which Python's own
`re` does not have.
"""

from __future__ import annotations

import regex

from exporter.errors import TargetError

#: time for one name, and how many of its characters count
SEARCH_S = 0.005
NAME_MAX = 1_000


class NamePattern:
    """An expression that may match anywhere in a name. `flag` is the option, for messages. Raises ValueError
    for an invalid expression."""

    def __init__(self, text: str, flag: str = "") -> None:
        self.text = text
        self._flag = flag
        try:
            self._pattern = regex.compile(text)
        except regex.error as error:
            raise ValueError(f"this is not a regular expression: {error}") from None
        except (OverflowError, RecursionError, MemoryError):
            raise ValueError("this regular expression is too large: write a shorter one") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamePattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def fits(self, name: str) -> bool:
        """Whether it matches. TargetError if that takes too long, because other names would take as long."""
        try:
            return self._pattern.search(name[:NAME_MAX], timeout=SEARCH_S) is not None
        except TimeoutError:
            raise TargetError(
                f"{self._flag}: a name of the server takes longer than {SEARCH_S * 1000:g} ms: "
                "write the expression without one repetition inside another, such as (a+)+"
            ) from None
