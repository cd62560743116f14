"""The JSON schema of the configuration file, as editors use it.

It accepts what the exporter reads, and refuses mistakes of names, forms and words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from exporter.collectors._registry import REGISTRY
from exporter.commands.config_schema import schema, text
from exporter.options.table import OPTIONS
from exporter.options.yaml_reader import YamlTextError, read_yaml
from exporter.targets.instances_file import OF_ENTRIES
from exporter.targets.shared_keys import SHARED_KEYS
from tests.targets.loading import CONFIG

DOCS = Path(__file__).parent.parent.parent / "docs"
GOOD = sorted(CONFIG.glob("*.good.yml"))
#: mistakes that a schema sees: an unknown name, another form, another word, or what is missing
VISIBLE = (
    "allow_of_entry", "bare_list", "defaults_key", "defaults_list", "empty_file", "empty_list", "entry_text",
    "far_key",
    "instances_map", "joined_key", "label_name", "label_null", "label_reserved", "label_taken", "label_value",
    "labels_list", "labels_many", "missing_addr", "name_list", "password_map", "several", "unknown_key",
    "unknown_top_key", "collector_name", "collector_word", "collectors_list", "discover", "enabled",
    "group_name_of_group", "groups_list", "lane_name", "options_entry", "options_file", "options_list",
    "options_process", "password_command_text", "tls_key",
)  # fmt: skip


class _Core(yaml.SafeLoader):
    """YAML as editors read it: 1.2, which has no dates."""


_Core.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith(("timestamp", "merge"))]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    made = schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def faults(validator: Draft202012Validator, content: Any) -> list[str]:
    return [error.message for error in validator.iter_errors(content)]


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.name.split(".")[0])
def test_a_good_file_is_valid(validator: Draft202012Validator, file: Path) -> None:
    assert faults(validator, read_yaml(file.read_text())) == []
    if "<<" not in file.read_text():
        assert faults(validator, yaml.load(file.read_text(), _Core)) == []


@pytest.mark.parametrize("name", VISIBLE)
def test_a_mistake_that_it_can_see_is_a_fault(validator: Draft202012Validator, name: str) -> None:
    assert faults(validator, read_yaml((CONFIG / f"{name}.bad.yml").read_text())) != []


@pytest.mark.parametrize(
    "file",
    [file for file in sorted(CONFIG.glob("*.bad.yml")) if file.name.split(".")[0] not in VISIBLE],
    ids=lambda file: file.name.split(".")[0],
)
def test_the_other_mistakes_are_of_values(validator: Draft202012Validator, file: Path) -> None:
    """Else they belong above."""
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, YamlTextError):
        return
    assert faults(validator, content) == []


def test_the_files_of_the_docs_are_valid(validator: Draft202012Validator) -> None:
    pages = [DOCS.parent / "README.md", *DOCS.glob("*.md")]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
        if re.search(r"^(redis_instances|groups|defaults):", block, re.M)
    ]
    assert len(blocks) >= 3
    for block in blocks:
        if "redis_instances:" in block:
            assert faults(validator, read_yaml(block)) == [], block


def test_every_row_of_the_tables_is_in_it() -> None:
    made = schema()
    options = made["properties"]["options"]["properties"]
    assert {name for option in OPTIONS if option.in_file for name in option.names} == options.keys()
    shared = made["$defs"]["shared"]["properties"]
    assert shared.keys() == SHARED_KEYS.keys()
    assert made["$defs"]["entry"]["properties"].keys() == set(OF_ENTRIES)
    assert shared["collectors"]["properties"].keys() == {each.name for each in REGISTRY} - {"info"}
    assert options["poll.align"]["enum"] == ["auto", "off", None]
    assert options["poll.interval"]["default"] == "5s"
    assert all(value["description"] for value in (*options.values(), *shared.values()))
    assert options["basic-auth-password"] == {
        "description": "Password that every request must send.",
        "$ref": "#/$defs/text",
    }


def test_it_is_the_one_in_the_docs() -> None:
    is_fresh = (DOCS / "redis_exporter.schema.json").read_text() == text()
    assert is_fresh, "docs/redis_exporter.schema.json is not what the tables say: run `make docs`"
