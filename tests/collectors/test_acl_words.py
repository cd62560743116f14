"""The words of ACL rules."""

from __future__ import annotations

import pytest

from exporter.collectors._acl_words import asked_words, grants, handshake_words, ordered_words, quoted_word
from exporter.collectors._registry import REGISTRY
from exporter.options.table import Options
from exporter.protocol.facts import make_facts

WORDS = ["+config|get", "+info", "+slowlog|get", "+slowlog|len", "~cart:*"]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("CONFIG GET *", ["+config|get"]),
        ("INFO ALL", ["+info"]),
        ("info", ["+info"]),
        ("SLOWLOG LEN", ["+slowlog|len"]),
        ("CONFIG", []),
        ("INFORMATION", []),
        ("", []),
    ],
)
def test_a_command_is_allowed_by_its_words(command: str, found: list[str]) -> None:
    assert grants(WORDS, command) == found


def test_what_collectors_ask_of_a_server() -> None:
    facts = make_facts({"redis_version": b"7.0.15", "role": b"master"}, None)
    words = asked_words(REGISTRY, [facts], Options())
    assert {"+info", "+slowlog|get"} <= words
    assert asked_words(REGISTRY, [], Options()) == set()


def test_what_a_handshake_sends() -> None:
    assert handshake_words(Options()) == {"+client|setname"}
    assert handshake_words(Options(), databases=True) == {"+client|setname", "+select"}


def test_commands_come_before_keys() -> None:
    assert ordered_words(["~a", "+z", "+b"]) == ["+b", "+z", "~a"]


@pytest.mark.parametrize(
    ("word", "text"), [("+info", "+info"), ("~a b", '"~a b"'), ('~"\\', '"~\\"\\\\"'), ("~\n", '"~\\x0a"')]
)
def test_a_word_is_quoted_as_redis_cli_reads_it(word: str, text: str) -> None:
    assert quoted_word(word) == text
