"""The values that the API answers with."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
from openapi_spec_validator import validate

from exporter.options.endpoints import ROUTES
from exporter.status import api_answers
from exporter.status.api import OPERATIONS
from exporter.status.openapi import describe, schema_of

CLASSES = [each for _, each in inspect.getmembers(api_answers, dataclasses.is_dataclass)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_has_a_schema_that_says_what_it_is(kind: type) -> None:
    schemas: dict[str, dict[str, object]] = {}
    schema_of(kind, schemas)
    assert all(schema["description"] for schema in schemas.values())


def test_the_description_is_valid() -> None:
    validate(describe(OPERATIONS, "1.2.3"))


def test_every_endpoint_of_the_api_that_is_read_is_described() -> None:
    described = {operation.route for operation in OPERATIONS}
    assert described <= {route.name for route in ROUTES}
