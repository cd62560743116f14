"""Values as JSON: what is no number there is null."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_SIMPLE = frozenset({str, int, bool, type(None)})
_NAMES: dict[type, tuple[str, ...]] = {}  # of fields, by class


def plain(value: Any) -> Any:
    """What `json` can write: dataclasses become objects, sequences lists, and numbers that are not finite
    None."""
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if kind is float:
        return round(value, 9) if math.isfinite(value) else None
    names = _NAMES.get(kind)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value):
        _NAMES[kind] = tuple(field.name for field in dataclasses.fields(value))
        return plain(value)
    return value


def json_text(value: Any) -> str:
    """One line."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
