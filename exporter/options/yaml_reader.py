"""Reads YAML of bounded depth and size, with its aliases and merges filled in. Maps and lists know their
lines.

Scalars stay as they are written (`0123`, `yes`, `1.10`), except null. A key that comes twice is an error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

DEPTH_MAX = 20
#: values, keys, lists and maps, counted again at each alias
NODES_MAX = 300_000

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TAG = "tag:yaml.org,2002:"
_QUOTED = re.compile(r"(['\"])(?!<[a-z ]+>\1).{2,}\1")
#: the value of an anchor whose end has not been read yet
_OPEN: Any = object()


class YamlMap(dict[str, Any]):
    """A map. `line` is where it begins, `lines` are those of its keys; they count from 1."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """That of a key; of the map itself without this key."""
        return self.lines.get(key, self.line)

    def merge(self, other: YamlMap) -> None:
        self.update(other)
        self.lines.update(other.lines)


class YamlList(list[Any]):
    """A list. `line` is where it begins, `lines` are those of its items; they count from 1."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


class YamlTextError(ValueError):
    """What is wrong with a document. `line` counts from 1; 0 means unknown. The text has no value of the
    document."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class _FormError(yaml.MarkedYAMLError):
    """What YAML allows and this reader does not."""

    def __init__(self, problem: str, event: Any) -> None:
        super().__init__(None, None, problem, event.start_mark)  # type: ignore[no-untyped-call,unused-ignore]


class _BoundError(_FormError):
    pass


class _PlainEvents(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """Events from plain Python, twenty times slower than from libyaml."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)  # type: ignore[no-untyped-call,unused-ignore]
        yaml.scanner.Scanner.__init__(self)  # type: ignore[no-untyped-call,unused-ignore]
        yaml.parser.Parser.__init__(self)  # type: ignore[no-untyped-call,unused-ignore]


_Events: Any = vars(yaml.cyaml)["CParser"] if yaml.__with_libyaml__ else _PlainEvents


class _Builder:
    """Makes values of events, in one pass."""

    def __init__(self, text: str) -> None:
        self._next = _Events(text).get_event
        self._count = 0
        self._anchors: dict[str, tuple[Any, int]] = {}  # their values, and how many nodes these have

    def document(self) -> Any:
        self._next()  # the beginning of the text
        if type(self._next()) is yaml.StreamEndEvent:
            return None
        value = self._value(self._next(), 1)
        self._next()  # its end
        event = self._next()
        if type(event) is not yaml.StreamEndEvent:
            raise _FormError("another document begins here", event)
        return value

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._aliased(event)
        before = self._count
        self._note(1, event)
        if depth > DEPTH_MAX:
            raise _BoundError(f"nested deeper than {DEPTH_MAX} levels", event)
        anchor = event.anchor
        if anchor is not None:
            if anchor in self._anchors:
                raise _FormError("an anchor is given twice", event)
            self._anchors[anchor] = _OPEN, 0
        value: Any
        if kind is yaml.ScalarEvent:
            value = _scalar(event)
        elif kind is yaml.MappingStartEvent:
            value = self._map(event, depth)
        else:
            value = self._list(event, depth)
        if anchor is not None:
            self._anchors[anchor] = value, self._count - before
        return value

    def _aliased(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _FormError("undefined alias", event)
        value, size = self._anchors[event.anchor]
        if value is _OPEN:
            raise _BoundError("an alias is inside of what it names", event)
        self._note(size, event)
        return value

    def _note(self, more: int, event: Any) -> None:
        self._count += more
        if self._count > NODES_MAX:
            raise _BoundError(f"more than {NODES_MAX} values once its aliases are filled in", event)

    def _list(self, event: Any, depth: int) -> YamlList:
        _check_tag(event, "seq")
        found = YamlList(event.start_mark.line + 1)
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            found.lines.append(event.start_mark.line + 1)
            found.append(self._value(event, depth + 1))
        return found

    def _map(self, event: Any, depth: int) -> YamlMap:
        _check_tag(event, "map")
        found = YamlMap(event.start_mark.line + 1)
        merged: list[YamlMap] = []
        while type(event := self._next()) is not yaml.MappingEndEvent:
            key = self._value(event, depth + 1)
            is_merge = key == "<<" and type(event) is yaml.ScalarEvent and event.implicit[0]
            if key is None:
                key = ""
            if not isinstance(key, str):
                raise _FormError("a key must be a text", event)
            if key in found:
                raise _FormError("a key comes twice", event)
            value = self._value(self._next(), depth + 1)
            if is_merge:
                merged += _maps_of(value, event)
            else:
                found[key] = value
                found.lines[key] = event.start_mark.line + 1
        return _merge(merged, found) if merged else found


def _maps_of(value: Any, event: Any) -> list[YamlMap]:
    maps = value if isinstance(value, YamlList) else [value]
    if not all(isinstance(each, YamlMap) for each in maps):
        raise _FormError("only maps can be merged with <<", event)
    return maps


def _merge(merged: list[YamlMap], own: YamlMap) -> YamlMap:
    """Of several values for a key the map's own counts, then that of the first map."""
    found = YamlMap(own.line)
    for each in (*reversed(merged), own):
        found.merge(each)
    return found


def _scalar(event: Any) -> str | None:
    tag: str | None = event.tag
    if tag is None or tag == "!":
        return None if event.implicit[0] and event.value in _NULLS else str(event.value)
    if tag == _TAG + "null":
        return None
    _check_tag(event, "str")
    return str(event.value)


def _check_tag(event: Any, kind: str) -> None:
    if event.tag not in (None, "!", _TAG + kind):
        raise _FormError("a tag, which begins with !, has no meaning here", event)


def read_yaml(text: str) -> Any:
    """The value of the file: texts, None, and lists and maps of them. Raises YamlTextError."""
    try:
        return _Builder(text).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        # the parser quotes the wrong text, which may be a password
        problem = _QUOTED.sub("…", error.problem or "").replace("in this context", "here")
        advice = (
            "write less of it"
            if isinstance(error, _BoundError)
            else "check the indentation, and put values with special characters in quotes"
        )
        raise YamlTextError(f"not valid YAML ({problem}): {advice}", line) from None
    except (yaml.YAMLError, ValueError):
        raise YamlTextError("not valid YAML: it has a character that YAML does not allow") from None
