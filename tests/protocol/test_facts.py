"""What INFO says of a server."""

from __future__ import annotations

import pytest

from exporter.protocol.facts import FACT_FIELDS, Facts, make_facts


def facts(**fields: str) -> Facts:
    return make_facts(
        {"redis_version": b"7.0.15", **{key: text.encode() for key, text in fields.items()}}, 16
    )


def test_all_of_them() -> None:
    assert facts(role="slave", run_id="a", redis_mode="cluster", cluster_enabled="1", loading="1") == Facts(
        version=(7, 0, 15),
        flavor="redis",
        role="slave",
        mode="cluster",
        run_id="a",
        cluster_enabled=True,
        loading=True,
        databases=16,
        flavor_version=(7, 0, 15),
    )


def test_fields_that_are_missing_are_not_known() -> None:
    made = make_facts({"redis_version": b"2.8.0", "role": None}, None)
    assert (made.role, made.mode, made.run_id, made.databases) == ("", "standalone", "", None)
    assert not made.cluster_enabled
    assert not made.loading


def test_a_server_without_a_version_of_redis_has_the_commands_of_most_servers() -> None:
    made = make_facts({"redis_version": None, "pika_version": b"3.5.4", "role": b"master"}, None)
    assert (made.version, made.flavor, made.flavor_version) == ((5, 0, 0), "pika", (3, 5, 4))
    assert make_facts({"role": b"master"}, None).version == (5, 0, 0)


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"redis_version": "2.7.0-rocksdb-v5.13.4"}, (5, 0, 0)),  # of Tendis
        ({"redis_version": "1.9.9"}, (5, 0, 0)),
        ({"redis_version": "2.8.24"}, (2, 8, 24)),
        ({"redis_version": "4.0.0", "kvrocks_version": "2.1.0"}, (5, 0, 0)),
        ({"redis_version": "7.4.3", "garnet_version": "1.0.84"}, (7, 4, 3)),
        ({"redis_version": "4.0.14"}, (4, 0, 14)),
        ({"redis_version": "", "valkey_version": "9.1.0"}, (7, 2, 4)),
        ({"redis_version": "", "redict_version": "7.0.1"}, (7, 0, 1)),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.0"}, (7, 2, 4)),
    ],
)
def test_another_product_has_the_commands_of_a_version_that_it_does_not_state(
    fields: dict[str, str], version: tuple[int, int, int]
) -> None:
    assert facts(**fields).version == version


def test_a_replica_is_a_slave_in_all_words() -> None:
    assert facts(role="replica").role == facts(role="slave").role == "slave"


@pytest.mark.parametrize(
    ("text", "number"),
    [("255.255.255", (255, 255, 255)), ("8.0-m01", (8, 0, 0)), ("x.y", (5, 0, 0)), ("7", (7, 0, 0))],
)
def test_odd_versions(text: str, number: tuple[int, int, int]) -> None:
    assert facts(redis_version=text).version == number


@pytest.mark.parametrize(
    ("fields", "flavor", "version"),
    [
        ({}, "redis", (7, 0, 15)),
        ({"valkey_version": "8.1.1"}, "valkey", (8, 1, 1)),
        ({"server_name": "valkey"}, "valkey", (7, 0, 15)),
        ({"redict_version": "7.3.0"}, "redict", (7, 3, 0)),
        ({"mvcc_depth": "0"}, "keydb", (7, 0, 15)),
        ({"dragonfly_version": "df-v1.33.1"}, "dragonfly", (1, 33, 1)),
        ({"garnet_version": "1.0.80", "server_name": "garnet"}, "garnet", (1, 0, 80)),
        ({"kvrocks_version": "2.11.0"}, "kvrocks", (2, 11, 0)),
        ({"server_name": "another"}, "redis", (7, 0, 15)),
    ],
)
def test_a_flavor_has_a_version_of_its_own(
    fields: dict[str, str], flavor: str, version: tuple[int, int, int]
) -> None:
    made = facts(**fields)
    assert (made.flavor, made.flavor_version) == (flavor, version)


@pytest.mark.parametrize("field", ["redis_mode", "server_mode", "redict_mode", "RedisMode"])
def test_the_role_of_a_sentinel_is_its_mode(field: str) -> None:
    made = facts(**{field: "sentinel", "role": "master"})
    assert (made.mode, made.role) == ("sentinel", "sentinel")


def test_each_field_that_they_are_made_of_is_wanted() -> None:
    """`make_facts` reads no field that INFO is not searched for."""
    read: set[str] = set()

    class Fields(dict[str, bytes | None]):
        def get(self, key: str, default: object = None) -> bytes:
            read.add(key)
            return b"7" if key == "redis_version" else b""

    make_facts(Fields(), None)
    assert read - {"redis_version"} <= set(FACT_FIELDS)
