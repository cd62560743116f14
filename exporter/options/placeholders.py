"""Fills in what a configuration file leaves to its environment: `${NAME}` in users and passwords."""

from __future__ import annotations

import re
from collections.abc import Mapping

from exporter.options import lengths

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def fill(text: str, environ: Mapping[str, str]) -> str:
    """The text with the values of its variables; `$${` means a plain `${`. ValueError says what is wrong, and
    holds nothing of the text."""
    lengths.check(text, lengths.CREDENTIAL_MAX)  # each ${NAME} in it may be as long

    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1]
        if name is None:
            raise ValueError("a variable's name and } must follow ${: write ${NAME}, or $${ for a plain ${")
        if name not in environ:
            raise ValueError(f"the variable {name} is not set: set it, or write $${{ for a plain ${{")
        return environ[name]

    return _PLACEHOLDER.sub(value, text)
