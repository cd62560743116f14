"""The description of the API is made from classes and the table of endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from openapi_spec_validator import validate

from exporter.status.openapi import Operation, Parameter, describe, schema_of


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf, or
    two."""

    size: float | None


@dataclass(frozen=True, slots=True)
class Tree:
    """Leaves."""

    leaves: Sequence[Leaf]
    first: Leaf | None
    parent: Tree | None


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (bool, {"type": "boolean"}),
        (float | None, {"type": ["number", "null"]}),
        (tuple[str, ...], {"type": "array", "items": {"type": "string"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (dict[str, object], {"type": "object", "additionalProperties": {}}),
        (Any, {}),
    ],
)
def test_types(kind: Any, schema: dict[str, Any]) -> None:
    assert schema_of(kind, {}) == schema


def test_classes_become_schemas_of_their_own() -> None:
    schemas: dict[str, Any] = {}
    assert schema_of(Tree, schemas) == {"$ref": "#/components/schemas/Tree"}
    assert schemas["Leaf"] == {
        "type": "object",
        "description": "A leaf, or two.",
        "properties": {"size": {"type": ["number", "null"]}},
        "required": ["size"],
        "additionalProperties": False,
    }
    assert schemas["Tree"]["properties"]["first"] == {
        "anyOf": [{"$ref": "#/components/schemas/Leaf"}, {"type": "null"}]
    }
    assert schemas["Tree"]["properties"]["parent"]["anyOf"][0] == {"$ref": "#/components/schemas/Tree"}


def test_a_whole_description_is_valid() -> None:
    described = describe(
        [
            Operation(
                "api-targets",
                "All.",
                Tree,
                parameters=[Parameter("q", "Text.", {"type": "string"})],
                errors={400: "No."},
            ),
            Operation("pause", "A name in the path.", media_type="text/plain"),
        ],
        "1.2.3",
    )
    validate(described)
    assert described["info"]["version"] == "1.2.3"
    all_of_them, pause = described["paths"].values()
    assert list(described["paths"]) == ["/api/v1/targets", "/api/v1/targets/{name}/pause"]
    assert list(all_of_them["get"]["responses"]) == ["200", "400", "401"]
    assert [each["name"] for each in pause["get"]["parameters"]] == ["name"]
