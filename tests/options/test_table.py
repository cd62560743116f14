"""The table of options: every row by flag and by variable, those of the Go exporter as they are there, and
the lanes."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import UsageError
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse, print_config
from exporter.options.option import Option, Setting
from exporter.options.table import OPTIONS, Options
from exporter.options.values import BOOL, FILE
from exporter.polling.timing import lane_notes, lanes

#: text of a value that is good for the option, and not its default
OTHER_TEXTS = {
    "true": "false",
    "false": "true",
    "TEXT": "kiwi",
    "FILE": "/kiwi",
    "ADDRESS,…": "redis://kiwi",
    "DURATION": "7s",
    "DURATION|fast": "7s",
    "N": "7",
    "N|auto": "7",
    "SHARDS": "7",
    "none|cluster|sentinel|replicas": "cluster",
    "cluster,…": "shard,role",
    "[HOST]:PORT|unix:PATH|fd://[NAME]": "[::1]:80",
    "PATH": "/kiwi",
    "PREFIX": "kiwi",
    "drop|serve|fail": "fail",
    "auto|off": "off",
    "all|scalar|none": "none",
    "auto|always|never|instance": "never",
    "address|alias": "alias",
    "TLS1.0|TLS1.1|TLS1.2|TLS1.3": "TLS1.3",
    "zero|absent": "absent",
    "REGEX": "^a$",
    "PATTERN,…": "^a(.*)",
    "NAME,…": "redis_*",
    "COLLECTOR,…": "slowlog",
    "COLLECTOR=DURATION,…": "slowlog=30s",
    "name,…": "user,flags",
    "GLOB,…": "/etc/redis/*.yml",
    "URL,…": "http://inventory:8080/redis",
    "FILE,…": __file__,
    "[DB=]KEY,…": "db3=kiwi",
    "NETWORK,…": "10.0.0.0/8",
    "DEBUG|INFO|WARN|WARNING|ERROR": "ERROR",
    "txt|json": "json",
}

by_flag = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
by_variable = pytest.mark.parametrize(
    "option", [o for o in OPTIONS if o.variable], ids=lambda option: option.flag
)


def other_text(option: Option) -> str:
    return OTHER_TEXTS[option.type.value_name or option.default]


def value_of(options: Options, option: Option) -> Any:
    value = getattr(getattr(options, option.group), option.attribute)
    return tuple(script.name for script in value) if option.flag == "script" else value


PAIRS = ("tls-client-", "tls-server-")


def partner(option: Option) -> list[str]:
    """What must be set together with it: the other half of a key and its certificate."""
    prefix = next((prefix for prefix in PAIRS if option.flag.startswith(prefix)), None)
    if prefix is None or option.type is not FILE:
        return []
    return [f"--{flag}=/fig" for flag in (f"{prefix}key-file", f"{prefix}cert-file") if flag != option.flag]


@by_flag
def test_every_option_is_reachable_by_flag(option: Option) -> None:
    text = other_text(option)
    default = value_of(parse([], {}), option)
    for argv in (
        [f"--{option.flag}={text}"],
        [f"-{option.flag}={text}"],
        *([] if option.type is BOOL else [[f"--{option.flag}", text]]),
    ):
        options = parse([*argv, *partner(option)], {})
        assert value_of(options, option) == option.type.parse(text) != default
        setting = options.settings[option.flag]
        assert (setting.text, setting.source, setting.variable) == (text, "flag", "")


@by_variable
def test_every_option_is_reachable_by_variable_and_the_flag_wins(option: Option) -> None:
    text = other_text(option)
    environ = {str(option.variable): text}
    options = parse(partner(option), environ)
    assert value_of(options, option) == option.type.parse(text)
    assert options.settings[option.flag] == Setting(text, "environment", option.variable or "")
    if option.default:
        assert value_of(parse([f"--{option.flag}={option.default}"], environ), option) == value_of(
            parse([], {}), option
        )


@by_flag
def test_aliases_are_the_same_option(option: Option) -> None:
    for alias in option.aliases:
        assert value_of(parse([f"--{alias}"], {}), option) is True


def test_names_and_variables_are_named_once() -> None:
    names = [name for option in OPTIONS for name in option.names]
    variables = [variable for option in OPTIONS for variable in option.variables]
    attributes = [(option.group, option.attribute) for option in OPTIONS]
    for listed in (names, variables, attributes):
        assert len(set(listed)) == len(listed)
    for option in OPTIONS:
        assert option.help.endswith(".")


def test_the_groups_hold_nothing_but_options() -> None:
    options = Options()
    held = [
        (group.name, member.name)
        for group in dataclasses.fields(options)
        if group.name not in ("settings", "config_files")
        for member in dataclasses.fields(getattr(options, group.name))
    ]
    assert held == [(option.group, option.attribute) for option in OPTIONS]


def test_without_arguments_every_value_is_the_default_of_its_field() -> None:
    assert dataclasses.replace(parse([], {}), settings={}) == Options()


def test_the_second_names_have_their_former_name_too() -> None:
    former = "REDIS_EXPORTER_HANDBOOK_NAMES"
    assert parse(["--handbook-names=none"], {}).metrics.second_names == "none"
    options = parse([], {former: "none"})
    assert options.metrics.second_names == "none"
    assert f"--second-names=none  (environment: {former})\n" in print_config(options)
    newer = {former: "none", "REDIS_EXPORTER_SECOND_NAMES": "scalar"}
    assert parse([], newer).metrics.second_names == "scalar"
    with pytest.raises(UsageError, match=f"{former}=kiwi: write one of all, scalar, none"):
        parse([], {former: "kiwi"})


def test_a_value_of_a_target_s_own_can_change_while_the_exporter_runs() -> None:
    assert [option.flag for option in OPTIONS if option.per_target and not option.reloadable] == []


def test_variables_of_ours_are_derived() -> None:
    [option] = [option for option in OPTIONS if option.flag == "poll.standard-interval"]
    assert option.variable == "REDIS_EXPORTER_POLL_STANDARD_INTERVAL"


def test_defaults() -> None:
    options = parse([], {})
    assert options.redis.addr == ("redis://localhost:6379",)
    assert not options.addr_given
    assert (
        options.redis.connection_timeout_s,
        options.redis.scrape_timeout_s,
        options.redis.connection_max_age_s,
    ) == (15, 30, 600)
    assert dataclasses.astuple(options.poll) == (
        5,
        15,
        60,
        300,
        True,
        (),
        "auto",
        False,
        256,
        64,
        30,
        True,
        4 << 20,
        100_000,
        10_000,
        0,
        0,
        "drop",
    )
    assert options.web.page_min_interval_s == 1
    assert options.metrics.max_label_length == 1024


@pytest.mark.parametrize(
    ("argv", "intervals", "rounded"),
    [
        ([], (5, 15, 60, 300), []),
        (["--poll.interval=7s"], (7, 21, 63, 300), ["standard", "slow"]),
        (["--poll.interval=100ms", "--poll.standard-interval=300ms"], (0.1, 0.3, 60, 300), []),
        (["--poll.interval=30s"], (30, 30, 60, 300), ["standard"]),
        (
            [
                "--poll.interval=2s",
                "--poll.standard-interval=fast",
                "--poll.slow-interval=fast",
                "--poll.scan-interval=fast",
            ],
            (2, 2, 2, 2),
            [],
        ),
    ],
)
def test_lanes_are_whole_multiples_of_the_fast_one(
    argv: list[str], intervals: tuple[float, ...], rounded: list[str]
) -> None:
    poll = parse(argv, {}).poll
    assert lanes(poll) == dict(zip(Lane, intervals, strict=True))
    assert [note.split()[1] for note in lane_notes(poll)] == rounded


def test_a_rounded_lane_is_told() -> None:
    note = "the standard lane runs every 30s, not 15s: a whole multiple of the fast lane's 30s"
    assert lane_notes(parse(["--poll.interval=30s"], {}).poll) == [note]


@by_flag
def test_the_configuration_is_printed_with_its_sources(option: Option) -> None:
    lines = print_config(parse(["--namespace=valkey"], {"REDIS_USER": "watcher"})).splitlines()
    [line] = [line for line in lines if line.startswith(f"--{option.flag}=")]
    expected = {"namespace": "valkey  (flag)", "redis.user": "watcher  (environment: REDIS_USER)"}
    assert line.partition("=")[2] == expected.get(option.flag, f"{option.default}  (default)")


def go_flags() -> list[dict[str, str]]:
    with (Path(__file__).parent.parent / "data" / "go_flags.csv").open(newline="") as file:
        return list(csv.DictReader(file))


#: where a default is written otherwise
DEFAULTS = {"connection-timeout": "15s"}


@pytest.mark.parametrize("row", go_flags(), ids=lambda row: row["flag"])
def test_every_flag_of_the_go_exporter_is_here_with_its_variable_and_default(row: dict[str, str]) -> None:
    option = next(option for option in OPTIONS if row["flag"] in (option.flag, *option.aliases))
    assert (option.variable or "") == row["env"]
    assert option.default == DEFAULTS.get(row["flag"], row["default"])
    assert (option.type is BOOL) == (row["type"] == "bool")
    assert value_of(parse([], {}), option) == option.type.parse(row["default"])
    text = other_text(option)
    by_flag = parse([f"-{row['flag']}={text}", *partner(option)], {})
    assert value_of(by_flag, option) == option.type.parse(text)
    if row["env"]:
        assert value_of(parse(partner(option), {row["env"]: text}), option) == option.type.parse(text)


def test_there_are_59_of_them() -> None:
    assert len({row["flag"] for row in go_flags()}) == 59
