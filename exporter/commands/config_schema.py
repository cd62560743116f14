"""The JSON schema of the configuration file, made from the tables of options, keys and collectors.

It knows names, forms and words. What it cannot know, such as whether a file exists, `redis_exporter check`
says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exporter.collectors._registry import REGISTRY
from exporter.collectors._switches import switches
from exporter.options.option import Option
from exporter.options.table import OPTIONS
from exporter.options.values import BOOL, FALSE_WORDS, TRUE_WORDS, ValueType
from exporter.targets.instances_file import ENTRY_KEYS, FILE_KEYS, OF_ENTRIES
from exporter.targets.shared_keys import LABELS_MAX, PER_TARGET, REFUSED_LABELS, SHARED_KEYS, SharedKey

ID = "redis_exporter.schema.json"

Schema = dict[str, Any]

#: what is written often, by name
_DEFINED: dict[str, Schema] = {
    # YAML's numbers and booleans are read as they are written, and null as a missing key
    "text": {"type": ["string", "number", "boolean", "null"]},
    "switch": {"enum": [True, False, *TRUE_WORDS, *FALSE_WORDS, 1, 0, None]},
    "list": {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"type": ["string", "number", "boolean"]}},
        ]
    },
}
TEXT, SWITCH, LIST, SHARED = ({"$ref": f"#/$defs/{name}"} for name in (*_DEFINED, "shared"))


def schema() -> Schema:
    by_key: dict[str, Schema] = {
        "options": _options({name: option for option in OPTIONS if option.in_file for name in option.names}),
        "defaults": SHARED,
        "groups": _map(additionalProperties=SHARED),
        "redis_instances": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/entry"}},
    }
    shared = {name: _described(_of_key(key), key.help) for name, key in SHARED_KEYS.items()}
    own = {name: _described(TEXT, help) for name, help in ENTRY_KEYS.items()}
    again = {name: {"$ref": f"#/$defs/shared/properties/{name}"} for name in OF_ENTRIES if name in shared}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Configuration file of redis_exporter",
        "type": "object",
        "properties": {name: _described(by_key[name], help) for name, help in FILE_KEYS.items()},
        "additionalProperties": False,
        "$defs": {
            **_DEFINED,
            "shared": _map(properties=shared, additionalProperties=False),
            "entry": {
                "type": "object",
                "properties": {**own, **again},
                "additionalProperties": False,
                "required": ["addr"],
            },
        },
    }


def _map(**rest: Any) -> Schema:
    """A map, or nothing: a key without a value is as if it was missing."""
    return {"type": ["object", "null"], **rest}


def _described(value: Mapping[str, Any], text: str) -> Schema:
    return {"description": text, **value}


def _of_key(key: SharedKey) -> Schema:
    match key.form:
        case "labels":
            names = {"pattern": "^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$", "not": {"enum": sorted(REFUSED_LABELS)}}
            values = {"type": ["string", "number", "boolean"]}
            return _map(propertyNames=names, maxProperties=LABELS_MAX, additionalProperties=values)
        case "arguments":
            return {"type": ["array", "null"], "minItems": 1, "items": {"type": ["string", "number"]}}
        case "value":
            return _of_type(key.type)
        case "option":
            return _value(PER_TARGET[key.flags[""]])
        case "option map":
            return _options({name: PER_TARGET[flag] for name, flag in key.flags.items()})
        case "collectors":
            known = {each.name: _described(SWITCH, each.help) for each in REGISTRY if each.name in switches()}
            return _map(properties=known, additionalProperties=False)
        case "any options":
            return _options(PER_TARGET)
        case _:
            return TEXT


def _options(named: Mapping[str, Option]) -> Schema:
    properties = {name: _described(_value(option), option.help) for name, option in named.items()}
    return _map(properties=properties, additionalProperties=False)


def _value(option: Option) -> Schema:
    """What an option takes."""
    value = _of_type(option.type)
    return {**value, "default": option.default} if option.default and not option.secret else value


def _of_type(type: ValueType) -> Schema:
    if type.words:
        return {"enum": [*type.words, None]}
    return SWITCH if type is BOOL else LIST if type.join is not None else TEXT


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
