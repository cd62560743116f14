"""Reads the files of --script."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import files, masks, safe_text
from exporter.options.values import ScriptFile


def read_scripts(
    names: Iterable[str], limits: files.FileLimits, problems: list[str]
) -> tuple[ScriptFile, ...]:
    """Their names become label values, so each is made unique. What cannot be read is added to `problems`."""
    taken: dict[str, bytes] = {}
    for name in names:
        try:
            text = files.fetch(name, limits)
        except files.FileError as error:
            problems.append(f"{safe_text.shorten(masks.mask(name), 200)} cannot be read: {error}")
            continue
        shown = safe_text.valid(name)
        label = next(
            each
            for each in (shown, *(f"{shown} ({number})" for number in range(2, len(taken) + 3)))
            if each not in taken
        )
        taken[label] = text
    return tuple(ScriptFile(label, text) for label, text in taken.items())
