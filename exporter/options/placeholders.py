"""Fills in what a configuration file leaves to others: `${NAME}` and `${file:/path}` in secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from exporter import files, masks
from exporter.options import lengths

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)|file:([^}]+))\}|\$\{")


def fill(
    text: str,
    environ: Mapping[str, str],
    limits: files.FileLimits = files.DEFAULT,
    note: Callable[[str], object] = lambda value: None,
) -> str:
    """The text with the values of its variables, and what its files hold, without blanks at the end; `$${`
    means a plain `${`. `note` is called with each of these values. ValueError says what is wrong, and holds
    nothing of the text but the name of a variable or a file."""
    lengths.check(text, lengths.CREDENTIAL_MAX)  # each value in it may be as long

    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, file = match[1], match[2]
        if file is not None:
            found = text_of_file(file, limits)
        elif name is None:
            raise ValueError(
                "a name and } must follow ${: write ${NAME} for a variable, ${file:/path} for a file, or $${ "
                "for a plain ${"
            )
        elif name not in environ:
            raise ValueError(f"the variable {name} is not set: set it, or write $${{ for a plain ${{")
        else:
            found = environ[name]
        note(found)
        return found

    return _PLACEHOLDER.sub(value, text)


def text_of_file(file: str, limits: files.FileLimits) -> str:
    """What a file holds, without blanks at the end: editors and mounted secrets add them. ValueError if it
    cannot be used."""
    shown = masks.mask(file)
    try:
        text = files.fetch(file, limits).decode("utf-8-sig").rstrip()
    except UnicodeDecodeError:
        raise ValueError(f"{shown}: the file is not UTF-8: save it as UTF-8") from None
    except files.FileError as error:
        raise ValueError(f"{shown}: the file cannot be read ({error})") from None
    if not text:
        raise ValueError(f"{shown}: the file is empty")
    return lengths.check(text, lengths.CREDENTIAL_MAX)
