"""A password as a file or a command holds it: one line of text. Pure."""

from __future__ import annotations

import json

from exporter.options import lengths


def fault(text: str) -> str:
    """Why a text cannot be a password, "" for nothing. It never quotes the text."""
    if not text.strip():
        return "it is empty"
    if "\n" in text or "\r" in text:
        return "it has several lines"
    if text.lstrip().startswith("{") and _is_object(text):
        return "it is a JSON object, not a password alone"
    if any((sign < " " and sign != "\t") or sign == "\x7f" for sign in text):
        return "it has control characters"
    return lengths.fault(text, lengths.CREDENTIAL_MAX)


def _is_object(text: str) -> bool:
    """A file of several secrets is a mistake, and must not be sent to a server."""
    try:
        json.loads(text, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True
