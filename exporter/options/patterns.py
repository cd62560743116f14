"""Regular expressions of the operator's, on names that servers give: a name can be made to take an expression
hours.

So each search has a limit of time. (Python's own `re` has none; the names have to be matched as the operator
wrote it.)
"""

from __future__ import annotations

import regex

from exporter.errors import TargetError

#: what one name may take, and how much of it is looked at
SEARCH_S = 0.005
NAME_MAX = 1_000


class NamePattern:
    """Found anywhere in a name. `flag` is where it was written, for messages. Raises ValueError for what
    is no expression."""

    def __init__(self, text: str, flag: str = "") -> None:
        self.text = text
        self._flag = flag
        try:
            self._pattern = regex.compile(text)
        except regex.error as error:
            raise ValueError(f"this is no regular expression: {error}") from None
        except (OverflowError, RecursionError, MemoryError):
            raise ValueError("this regular expression is too large: write a shorter one") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamePattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def fits(self, name: str) -> bool:
        """Whether it is found. TargetError if that takes too long: other names would take as long."""
        try:
            return self._pattern.search(name[:NAME_MAX], timeout=SEARCH_S) is not None
        except TimeoutError:
            raise TargetError(
                f"{self._flag}: a name of the server takes longer than {SEARCH_S * 1000:g} ms: "
                "write the expression without one repetition inside another, such as (a+)+"
            ) from None
