"""The keys that entries, groups and defaults share."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.options.overrides import override
from exporter.options.table import Options
from exporter.options.values import KeyName
from exporter.targets.shared_keys import PER_TARGET, SHARED_KEYS, SharedSettings
from tests.targets.loading import load, one, problems_of, targets


class TestSpellings:
    @pytest.mark.parametrize(
        ("settings", "values"),
        [
            ("interval: 7s", {"poll.interval": 7.0}),
            ("lanes: {fast: 7s, slow: 2m}", {"poll.interval": 7.0, "poll.slow-interval": 120.0}),
            (
                "lanes: {standard: fast, scan: 1m}",
                {"poll.standard-interval": None, "poll.scan-interval": 60.0},
            ),
            (
                "tls: {ca: /ca, cert: /c, key: /k, server_name: r, skip_verify: true}",
                {
                    "tls-ca-cert-file": "/ca",
                    "tls-client-cert-file": "/c",
                    "tls-client-key-file": "/k",
                    "tls-server-name": "r",
                    "skip-tls-verification": True,
                },
            ),
            (
                "checks: {keys: [a, 'db1=b,c'], single_keys: d, count_keys: 'e*', keys_batch_size: 7}",
                {
                    "check-keys": (KeyName(0, b"a"), KeyName(1, b"b,c")),
                    "check-single-keys": (KeyName(0, b"d"),),
                    "count-keys": (KeyName(0, b"e*"),),
                    "check-keys-batch-size": 7,
                },
            ),
            ("options: {export-client-list: true}", {"export-client-list": True}),
            ("options: {max-age: }", {}),
            ("collectors: {slowlog: false, stats: }", {"collectors.off": ("slowlog",)}),
            (
                "collectors: {clients: true, config: true, latency: false}",
                {"collectors.off": ("latency",), "export-client-list": True},
            ),
        ],
    )
    def test_a_key_stands_for_options(self, file: Path, settings: str, values: dict[str, object]) -> None:
        assert dict(one(file, settings).overrides) == values

    def test_every_key_of_a_map_stands_for_an_option_of_a_target(self) -> None:
        flags = [flag for key in SHARED_KEYS.values() for flag in key.flags.values()]
        assert set(flags) <= PER_TARGET.keys()

    def test_an_option_that_is_set_twice_in_one_place(self, file: Path) -> None:
        text = "redis_instances:\n- addr: redis://a\n  interval: 7s\n  lanes:\n    fast: 8s\n"
        file.write_text(text)
        assert problems_of(file=file) == (
            f"{file}, line 5: entry 1: lanes: fast: poll.interval is already set beside it: leave one of "
            f"them out",
        )

    def test_the_options_of_the_process_take_them(self, file: Path) -> None:
        options = override(Options(), one(file, "lanes: {fast: 7s, standard: fast}").overrides)
        assert (options.poll.interval_s, options.poll.standard_interval_s) == (7, 7)


class TestLevels:
    def test_entry_over_group_over_defaults(self, file: Path) -> None:
        text = """
defaults: {user: d, password: d, interval: 1s, lanes: {slow: 10s}, labels: {a: d, b: d, c: d}, enabled: false}
groups:
  cache: {user: g, interval: 2s, labels: {b: g, c: g}, discover: cluster}
  empty:
redis_instances:
  - {addr: "redis://one", group: cache, user: e, labels: {c: e}, enabled: true}
  - {addr: "redis://two", group: cache, discover: none}
  - {addr: "redis://three", group: empty}
  - {addr: "redis://four"}
"""
        one, two, three, four = targets(file, text)
        assert (one.user, one.password, one.settings_group) == ("e", "d", "cache")
        assert dict(one.overrides) == {"poll.interval": 2, "poll.slow-interval": 10}
        assert dict(one.labels) == {"a": "d", "b": "g", "c": "e"}
        assert (one.enabled, one.discover) == (True, "cluster")
        assert (two.user, two.enabled, two.discover) == ("g", False, "")
        assert (three.user, three.overrides, three.settings_group) == ("d", four.overrides, "empty")
        assert (four.discover, four.settings_group) == ("", "")

    def test_collectors_are_joined_by_name(self, file: Path) -> None:
        text = """
defaults: {collectors: {slowlog: false, config: false, clients: true}}
redis_instances:
  - {addr: "redis://one", collectors: {slowlog: true, stats: false}}
  - {addr: "redis://two", options: {export-client-list: false}}
"""
        one, two = targets(file, text)
        assert dict(one.overrides) == {"collectors.off": ("config", "stats"), "export-client-list": True}
        assert dict(two.overrides) == {"collectors.off": ("config", "slowlog"), "export-client-list": False}

    def test_what_is_off_for_all_targets_stays_off(self) -> None:
        off = ("acl_log", "slowlog")
        assert SharedSettings(off=off).all_values == {}
        switched = SharedSettings(off=off, collectors={"config": False, "slowlog": True})
        assert switched.over(SharedSettings()).all_values == {"collectors.off": ("acl_log", "config")}
        assert SharedSettings().over(switched).all_values == switched.all_values

    def test_equal_settings_are_equal_whatever_their_order(self, file: Path) -> None:
        text = """
redis_instances:
  - {addr: "redis://one", interval: 2s, lanes: {slow: 10s}}
  - {addr: "redis://two", lanes: {slow: 10s, fast: 2s}}
"""
        one, two = targets(file, text)
        assert one.overrides == two.overrides


def test_beside_other_targets_a_file_may_have_settings_only(file: Path) -> None:
    file.write_text("groups: {cache: {interval: 7s}}\n")
    targets = load("redis://one", file=file)
    assert [target.addr for target in targets] == ["redis://one:6379"]
    assert dict(targets.settings["cache"].values) == {"poll.interval": 7}
    assert "redis_instances must be a list" in problems_of("redis://default", given=False, file=file)[0]


def test_a_file_of_options_names_no_target(file: Path) -> None:
    file.write_text("options: {debug: true}\ndefaults: {user: x}\n")
    assert [target.addr for target in load("redis://default", given=False, file=file)] == [
        "redis://default:6379"
    ]
