"""Reads YAML of bounded depth and size, with its aliases and merges filled in.

Scalars stay as they are written (`0123`, `yes`, `1.10`), except null. A key that comes twice is an error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

DEPTH_MAX = 20
#: values, keys, lists and maps, counted again at each alias
NODES_MAX = 300_000

_TAG = "tag:yaml.org,2002:"
_KINDS = ("null", "str", "seq", "map")
_QUOTED = re.compile(r"(['\"])(?!<[a-z ]+>\1).{2,}\1")


class YamlTextError(ValueError):
    """What is wrong with a document. `line` counts from 1; 0 means unknown. The text has no value of the
    document."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class _BoundError(yaml.MarkedYAMLError):
    pass


def _mark(event: Any) -> Any:
    return event.start_mark


class _Composer(Composer):
    """Counts the nodes that it makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self._depth = 0
        self._nodes = 0
        self._sizes: dict[
            int, int
        ] = {}  # by the identity of nodes that are complete; they live as long as `anchors`

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[attr-defined]
        if isinstance(event, yaml.AliasEvent):
            anchored = self.anchors.get(event.anchor)
            if anchored is not None and id(anchored) not in self._sizes:
                raise _BoundError(None, None, "an alias is inside of what it names", _mark(event))
            self._count(self._sizes.get(id(anchored), 1), event)
            return super().compose_node(parent, index)  # type: ignore[no-untyped-call,unused-ignore]
        before = self._nodes
        self._count(1, event)
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _BoundError(None, None, f"nested deeper than {DEPTH_MAX} levels", _mark(event))
        node = super().compose_node(parent, index)  # type: ignore[no-untyped-call,unused-ignore]
        self._depth -= 1
        if event.anchor is not None:
            self._sizes[id(node)] = self._nodes - before
        return node

    def _count(self, more: int, event: Any) -> None:
        self._nodes += more
        if self._nodes > NODES_MAX:
            raise _BoundError(
                None, None, f"more than {NODES_MAX} values once its aliases are filled in", _mark(event)
            )

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)  # type: ignore[no-untyped-call,unused-ignore]
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.tag != _TAG + "merge":
                    raise yaml.constructor.ConstructorError(None, None, "a key comes twice", key.start_mark)
                seen.add(key.value)
        return node


class _TextConstructor(SafeConstructor):
    pass


class _TextResolver(Resolver):
    pass


_TextResolver.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag in (_TAG + "null", _TAG + "merge")]
    for first, forms in Resolver.yaml_implicit_resolvers.items()
}
_TextConstructor.yaml_constructors = {
    tag: make
    for tag, make in SafeConstructor.yaml_constructors.items()
    if tag in (None, *(_TAG + name for name in _KINDS))
}


class _PlainEvents(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """Events from plain Python, twenty times slower than from libyaml."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)  # type: ignore[no-untyped-call,unused-ignore]
        yaml.scanner.Scanner.__init__(self)  # type: ignore[no-untyped-call,unused-ignore]
        yaml.parser.Parser.__init__(self)  # type: ignore[no-untyped-call,unused-ignore]


_Events: Any = vars(yaml.cyaml)["CParser"] if yaml.__with_libyaml__ else _PlainEvents


class _Loader(_Composer, _TextConstructor, _TextResolver, _Events):  # type: ignore[misc]
    def __init__(self, text: str) -> None:
        _Events.__init__(self, text)
        _Composer.__init__(self)
        _TextConstructor.__init__(self)  # type: ignore[no-untyped-call,unused-ignore]
        _TextResolver.__init__(self)  # type: ignore[no-untyped-call,unused-ignore]


def read_yaml(text: str) -> Any:
    """The value of the file: texts, None, and lists and dicts of them. Raises YamlTextError."""
    try:
        loader = _Loader(text)
        return loader.get_single_data()  # type: ignore[no-untyped-call,unused-ignore]
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
    except RecursionError:
        raise YamlTextError(
            f"not valid YAML (nested deeper than {DEPTH_MAX} levels): write less of it"
        ) from None
