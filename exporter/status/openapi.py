"""The description of the JSON API, made from the table of endpoints and from the classes of its answers.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from exporter.options.endpoints import ROUTES

_ABOUT = (
    "What a Redis exporter knows of its targets and of itself. All moments are seconds since 1970, all "
    "durations seconds. Numbers that are not known are null."
)
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
#: what an operation with parameters says to mistakes, by status
BAD_PARAMETER = {400: "A parameter cannot be used: the text says what to write instead."}
_ERROR = {"content": {"text/plain": {"schema": {"type": "string"}}}}


class Parameter(NamedTuple):
    """One parameter of a query. `schema` is JSON Schema."""

    name: str
    text: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a `method` of the route called `route` answers: a JSON text of the class `answer`, or else a text
    of this `media_type`. `errors` are what it says to mistakes, by status."""

    route: str
    text: str
    answer: type | None = None
    media_type: str = "application/json"
    parameters: Sequence[Parameter] = ()
    errors: Mapping[int, str] = dataclasses.field(default_factory=dict)
    method: str = "get"


def describe(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """The whole description."""
    paths = {route.name: route.path for route in ROUTES}
    schemas: dict[str, Any] = {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "redpoll",
            "version": version,
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "paths": {
            paths[each.route]: {each.method: _operation(each, paths[each.route], schemas)}
            for each in operations
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
        "security": [{}, {"basic": []}],
    }


def _operation(operation: Operation, path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "string"} if operation.answer is None else schema_of(operation.answer, schemas)
    parameters = [
        {"name": each.name, "in": "query", "description": each.text, "schema": dict(each.schema)}
        for each in operation.parameters
    ]
    errors = {401: "User or password are missing or wrong.", **operation.errors}
    return {
        "operationId": operation.route,
        "summary": operation.text,
        "parameters": [*([_NAME] if "{name}" in path else []), *parameters],
        "responses": {
            "200": {"description": operation.text, "content": {operation.media_type: {"schema": schema}}},
            **{str(status): {"description": text, **_ERROR} for status, text in sorted(errors.items())},
        },
    }


def schema_of(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a type. A class becomes one of `schemas`, by its name."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind in (Any, object):
        return {}
    if origin in (types.UnionType, typing.Union):
        return _nullable([schema_of(each, schemas) for each in inner if each is not type(None)])
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if origin in (list, tuple, collections.abc.Sequence):
        return {"type": "array", "items": schema_of(inner[0], schemas)}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "object", "additionalProperties": schema_of(inner[1], schemas)}
    if dataclasses.is_dataclass(kind):
        return _reference(typing.cast(type, kind), schemas)
    return {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[kind]}


def _nullable(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    if len(schemas) == 1 and schemas[0].keys() == {"type"}:
        return {"type": [schemas[0]["type"], "null"]}
    return {"anyOf": [*schemas, {"type": "null"}]}


def _reference(kind: type, schemas: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in schemas:
        schemas[name] = {}  # it may name itself
        types_of = typing.get_type_hints(kind)
        properties = {
            field.name: schema_of(types_of[field.name], schemas) for field in dataclasses.fields(kind)
        }
        schemas[name] = {
            "type": "object",
            "description": " ".join((kind.__doc__ or "").split()),
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {"$ref": f"#/components/schemas/{name}"}
