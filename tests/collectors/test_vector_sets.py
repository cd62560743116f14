"""VINFO: vector sets among the keys that are looked at."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from exporter.collectors._key_places import KeyMemory
from exporter.collectors.vector_sets import KEYS_MAX, VectorSetsCollector
from exporter.errors import ReplyError
from exporter.options.commandline import parse
from exporter.options.values import KeyName
from exporter.protocol.facts import Facts
from tests.collectors.conftest import OPTIONS, Drive, Played

REDIS = Facts((8, 0, 2), "redis", "master", "standalone", "r", False, False, 16, (8, 0, 2))
#: as the server's source writes it
VINFO: list[Any] = [
    b"quant-type", b"int8", b"hnsw-m", 16, b"vector-dim", 300, b"projection-input-dim", 768, b"size", 3000,
    b"max-level", 4, b"attributes-count", 12, b"vset-uid", 1, b"hnsw-max-node-uid", 3000,
]  # fmt: skip


def quiet(*replies: Any) -> list[Any]:
    """The replies of a server that is told not to touch the keys."""
    return [b"OK", *replies, b"OK"]


def read(
    drive: Drive, *replies: list[Any], argv: tuple[str, ...] = ("--check-single-keys=v",), **more: Any
) -> Played:
    options = parse(["--include-vector-set-metrics", *argv], {})
    return drive(VectorSetsCollector(), *replies, facts=REDIS, options=options, **more)


def test_all_that_is_told_of_one(drive: Drive) -> None:
    played = read(drive, quiet(b"vectorset"), quiet(VINFO))
    assert [args for args in played.asked[1] if args[0] == "VINFO"] == [("VINFO", b"v")]
    labels = '{db="db0",key="v"}'
    assert played.samples() == {
        f"redis_vector_set_elements{labels}": "3000",
        f"redis_vector_set_dimensions{labels}": "300",
        f"redis_vector_set_input_dimensions{labels}": "768",
        f"redis_vector_set_attributes{labels}": "12",
        f"redis_vector_set_levels{labels}": "4",
        f"redis_vector_set_links_max{labels}": "16",
        'redis_vector_set_info{db="db0",key="v",quantization="int8"}': "1",
    }


def test_other_keys_are_asked_no_more(drive: Drive) -> None:
    assert read(drive, quiet(b"hash")).samples() == {}


def found(*names: bytes) -> KeyMemory:
    """Keys of a server that has taken the commands before."""
    memory = KeyMemory(found={KeyName(0, b"v*"): names})
    memory.answered.begin(REDIS.run_id)
    memory.answered.words.update(("TYPE", "VINFO"))
    return memory


def test_keys_that_a_pattern_found_are_looked_at_too(drive: Drive) -> None:
    memory = found(b"v1", b"v2")
    played = read(drive, quiet(b"vectorset", b"list"), quiet(VINFO), argv=("--check-keys=v*",), memory=memory)
    assert 'redis_vector_set_elements{db="db0",key="v1"}' in played.samples()


def test_the_number_of_keys_has_a_limit(drive: Drive) -> None:
    memory = found(*(b"v%d" % number for number in range(KEYS_MAX + 7)))
    played = read(drive, quiet(*[b"list"] * KEYS_MAX), argv=("--check-keys=v*",), memory=memory)
    assert played.output.cut == 7


@pytest.mark.parametrize(
    "reply", [None, b"text", 7, [], [b"size"], [b"size", b"many"], ReplyError("NOPERM no")]
)
def test_what_is_not_a_number_is_left_out(drive: Drive, reply: Any) -> None:
    assert read(drive, quiet(b"vectorset"), quiet(reply)).samples() == {}


def test_only_servers_that_know_the_command_are_asked() -> None:
    wants = VectorSetsCollector().wants
    assert wants(REDIS, OPTIONS)
    assert not wants(dataclasses.replace(REDIS, version=(7, 4, 1)), OPTIONS)
    assert not wants(dataclasses.replace(REDIS, flavor="valkey", flavor_version=(9, 1, 0)), OPTIONS)
    assert not wants(REDIS, parse(["--skip-checkkeys-for-role-master"], {}))


def test_nothing_is_asked_unless_it_is_wanted() -> None:
    enabled = VectorSetsCollector().enabled
    assert not enabled(parse(["--check-keys=v*"], {}))
    wanted = parse(["--include-vector-set-metrics", "--check-keys=v*"], {})
    assert enabled(wanted)
    assert {"+type", "+vinfo", "~v*"} <= set(VectorSetsCollector().acl(wanted))
