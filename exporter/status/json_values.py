"""Values as JSON: what is no number there is null."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_NAMES: dict[type, tuple[str, ...]] = {}  # of fields, by class


def plain(value: Any) -> Any:
    """What `json` can write: dataclasses become objects, sequences lists, and numbers that are not finite
    None."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return round(value, 9) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [plain(each) for each in value]
    names = _NAMES.get(type(value))
    if names is None:
        names = _NAMES[type(value)] = tuple(field.name for field in dataclasses.fields(value))
    return {name: plain(getattr(value, name)) for name in names}


def json_text(value: Any) -> str:
    """One line."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
