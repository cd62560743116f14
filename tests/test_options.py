"""The table of options: every row by flag and by variable, Go's syntax, and what a mistake says."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from exporter.commandline import HELP_COLUMNS, help_text, parse, print_config
from exporter.errors import ConfigError, UsageError
from exporter.forms import BOOL, ENDPOINTS, FILE, parse_duration, split_listen_address
from exporter.model import Lane
from exporter.options import OPTIONS, Option, Options, lane_notes, lanes, rows

#: text of a value that is good for the option, and not its default
OTHER_TEXTS = {
    "true": "false", "false": "true", "TEXT": "kiwi", "FILE": "/kiwi", "ADDRESS,…": "redis://kiwi", "DURATION": "7s", "DURATION|fast": "7s",
    "N": "7", "[HOST]:PORT": "[::1]:80", "PATH": "/kiwi", "PREFIX": "kiwi", "drop|serve|fail": "fail", "all|scalar|none": "none",
    "auto|always|never": "never", "TLS1.0|TLS1.1|TLS1.2|TLS1.3": "TLS1.3", "zero|absent": "absent", "REGEX": "^a$", "PATTERN,…": "^a(.*)",
    "NAME,…": "redis_*", "name,…": "user,flags", "FILE,…": __file__, "[DB=]KEY,…": "db3=kiwi",
    "DEBUG|INFO|WARN|WARNING|ERROR": "ERROR", "txt|json": "json",
}  # fmt: skip

by_flag = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
by_variable = pytest.mark.parametrize("option", [o for o in OPTIONS if o.variable], ids=lambda option: option.flag)


def other_text(option: Option) -> str:
    return OTHER_TEXTS[option.form.value_name or option.default]


def value_of(options: Options, option: Option) -> Any:
    return getattr(getattr(options, option.group), option.attribute)


PAIRS = ("tls-client-", "tls-server-")


def partner(option: Option) -> list[str]:
    """What must be set together with it: the other half of a key and its certificate."""
    prefix = next((prefix for prefix in PAIRS if option.flag.startswith(prefix)), None)
    if prefix is None or option.form is not FILE:
        return []
    return [f"--{flag}=/fig" for flag in (f"{prefix}key-file", f"{prefix}cert-file") if flag != option.flag]


def problems_of(*argv: str, **environ: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse(argv, environ)
    return str(caught.value).splitlines()


@by_flag
def test_every_option_is_reachable_by_flag(option: Option) -> None:
    text = other_text(option)
    default = value_of(parse([], {}), option)
    for argv in ([f"--{option.flag}={text}"], [f"-{option.flag}={text}"], *([] if option.form is BOOL else [[f"--{option.flag}", text]])):
        options = parse([*argv, *partner(option)], {})
        assert value_of(options, option) == option.form.parse(text) != default
        assert options.settings[option.flag] == (text, "flag")


@by_variable
def test_every_option_is_reachable_by_variable_and_the_flag_wins(option: Option) -> None:
    text = other_text(option)
    environ = {str(option.variable): text}
    options = parse(partner(option), environ)
    assert value_of(options, option) == option.form.parse(text)
    assert options.settings[option.flag] == (text, "environment")
    if option.default:
        assert value_of(parse([f"--{option.flag}={option.default}"], environ), option) == value_of(parse([], {}), option)


@by_flag
def test_aliases_are_the_same_option(option: Option) -> None:
    for alias in option.aliases:
        assert value_of(parse([f"--{alias}"], {}), option) is True


def test_names_and_variables_are_named_once() -> None:
    names = [name for option in OPTIONS for name in (option.flag, *option.aliases)]
    variables = [option.variable for option in OPTIONS if option.variable]
    attributes = [(option.group, option.attribute) for option in OPTIONS]
    for listed in (names, variables, attributes):
        assert len(set(listed)) == len(listed)
    for option in OPTIONS:
        assert option.help.endswith(".")


@pytest.mark.parametrize(
    ("flag", "variable", "default"),
    [
        ("redis.addr", "REDIS_ADDR", "redis://localhost:6379"),
        ("redis.user", "REDIS_USER", ""),
        ("redis.password", "REDIS_PASSWORD", ""),
        ("namespace", "REDIS_EXPORTER_NAMESPACE", "redis"),
        ("web.listen-address", "REDIS_EXPORTER_WEB_LISTEN_ADDRESS", ":9121"),
        ("web.telemetry-path", "REDIS_EXPORTER_WEB_TELEMETRY_PATH", "/metrics"),
        ("connection-timeout", "REDIS_EXPORTER_CONNECTION_TIMEOUT", "15s"),
        ("tls-client-key-file", "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE", ""),
        ("tls-client-cert-file", "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE", ""),
        ("tls-ca-cert-file", "REDIS_EXPORTER_TLS_CA_CERT_FILE", ""),
        ("tls-server-name", "REDIS_EXPORTER_TLS_SERVER_NAME", ""),
        ("skip-tls-verification", "REDIS_EXPORTER_SKIP_TLS_VERIFICATION", "false"),
        ("debug", "REDIS_EXPORTER_DEBUG", "false"),
        ("log-level", "REDIS_EXPORTER_LOG_LEVEL", "INFO"),
        ("log-format", "REDIS_EXPORTER_LOG_FORMAT", "txt"),
        ("set-client-name", "REDIS_EXPORTER_SET_CLIENT_NAME", "true"),
        ("redis-only-metrics", "REDIS_EXPORTER_REDIS_ONLY_METRICS", "false"),
        ("include-system-metrics", "REDIS_EXPORTER_INCL_SYSTEM_METRICS", "false"),
        ("include-metrics-for-empty-databases", "REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES", "true"),
        ("disable-scrape-endpoint", "REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT", "false"),
        ("version", "", "false"),
    ],
)
def test_go_flags_keep_variable_and_default(flag: str, variable: str, default: str) -> None:
    [row] = [row for row in rows() if row.flag == flag]
    assert (row.variable, row.default) == (variable, default)


def test_variables_of_ours_are_derived() -> None:
    [row] = [row for row in rows() if row.flag == "poll.standard-interval"]
    assert row.variable == "REDIS_EXPORTER_POLL_STANDARD_INTERVAL"


def test_defaults() -> None:
    options = parse([], {})
    assert options.redis.addr == ("redis://localhost:6379",)
    assert not options.redis.addr_given
    assert (options.redis.connection_timeout_s, options.redis.scrape_timeout_s, options.redis.connection_max_age_s) == (15, 30, 600)
    assert dataclasses.astuple(options.poll) == (5, 15, 60, 300, 256, 30, 0, "drop")
    assert options.web.page_min_interval_s == 1
    assert options.metrics.max_label_length == 1024


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_go_words_for_true(text: str) -> None:
    assert parse([f"--debug={text}"], {}).log.debug is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_go_words_for_false(text: str) -> None:
    assert parse([f"--set-client-name={text}"], {}).redis.set_client_name is False


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("15s", 15),
        ("1m30s", 90),
        ("250ms", 0.25),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("2ns", 2e-9),
        ("-1s", -1),
    ],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5d", "1m 30s", ".s", "5S", "1e3s", "5s\n", "٣s"])
def test_what_is_no_go_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_the_last_of_a_flag_holds_but_addresses_add_up() -> None:
    options = parse(["-namespace", "a", "--namespace=b", "--redis.addr=h1, h2", "--redis.addr", "h3"], {"REDIS_ADDR": "h4"})
    assert options.metrics.namespace == "b"
    assert options.redis.addr == ("h1", "h2", "h3")
    assert options.redis.addr_given


def test_a_value_may_hold_equals_signs_and_dashes() -> None:
    assert parse(["--redis.password=a=b"], {}).redis.password == "a=b"
    assert parse(["--redis.password", "-a"], {}).redis.password == "-a"


def test_variables_that_are_set_but_empty() -> None:
    options = parse([], {"REDIS_ADDR": "", "REDIS_EXPORTER_NAMESPACE": "", "REDIS_EXPORTER_DEBUG": "", "REDIS_EXPORTER_POLL_INTERVAL": ""})
    assert options.redis.addr == ()
    assert options.redis.addr_given
    assert options.metrics.namespace == ""
    assert options.log.debug is False
    assert options.poll.interval_s == 5


def test_variables_of_others_are_left_alone() -> None:
    assert parse([], {"REDIS_EXPORTER_PORT": "tcp://10.0.0.1:9121", "REDIS_EXPORTER_VERSION": "1.2"}).run.version is False


@pytest.mark.parametrize("level", ["warn", "WARN", "Warn"])
def test_levels_in_any_case(level: str) -> None:
    assert parse([f"--log-level={level}"], {}).log.level == "WARN"


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("--redis.adr=x", "unknown flag --redis.adr: did you mean --redis.addr?"),
        ("--weather", "unknown flag --weather: --help lists them all"),
        ("--no-debug", "unknown flag --no-debug: did you mean --debug?"),
        ("kiwi", "argument 1 belongs to no flag: flags begin with -"),
        ("--", "argument 1 belongs to no flag: flags begin with -"),
        ("--namespace", "--namespace needs a value: write --namespace=PREFIX"),
        ("--debug=maybe", "--debug=maybe: write true or false"),
        ("--poll.interval=5", "--poll.interval=5: a duration needs its unit: write 5s"),
        ("--poll.interval=soon", "--poll.interval=soon: write a duration such as 250ms, 15s or 1m30s"),
        ("--poll.interval=fast", "--poll.interval=fast: write a duration such as 250ms, 15s or 1m30s"),
        ("--poll.interval=0s", "--poll.interval=0s: the least is 0.1s"),
        ("--poll.slow-interval=99ms", "--poll.slow-interval=99ms: the least is 0.1s"),
        ("--max-age=-1s", "--max-age=-1s: the least is 0s"),
        ("--poll.max-in-flight=many", "--poll.max-in-flight=many: write a whole number"),
        ("--poll.max-in-flight=0", "--poll.max-in-flight=0: the least is 1"),
        ("--stale-policy=keep", "--stale-policy=keep: write one of drop, serve, fail"),
        (
            "--web.telemetry-path=",
            "--web.telemetry-path=: write a path that begins with / and holds letters, digits and . _ ~ - only, such as /metrics",
        ),
        ("--namespace=9redis", "--namespace=9redis: write letters, digits and _ only, no digit first, such as redis; or leave it empty"),
    ],
)
def test_what_a_mistake_says(argument: str, problem: str) -> None:
    assert problems_of(argument) == [problem]


def test_mistakes_come_all_at_once() -> None:
    assert problems_of(
        "--bogus", "value", "--debug", "false", "--poll.interval", "--verbose", "--tls-client-key-file=k",
        REDIS_EXPORTER_SET_CLIENT_NAME="maybe", REDIS_EXPORTER_MAX_LABEL_LENGTH="x",
    ) == [
        "unknown flag --bogus: --help lists them all",
        "argument 4 belongs to no flag: write --debug=false",
        "--poll.interval needs a value: write --poll.interval=DURATION",
        "REDIS_EXPORTER_SET_CLIENT_NAME=maybe: write true or false",
        "REDIS_EXPORTER_MAX_LABEL_LENGTH=x: write a whole number",
        "--tls-client-key-file is set alone: set --tls-client-cert-file too, or neither",
    ]  # fmt: skip


def test_a_mistake_in_usage_ends_with_2_and_a_conflict_with_1() -> None:
    with pytest.raises(UsageError) as usage:
        parse(["--bogus"], {})
    with pytest.raises(ConfigError) as conflict:
        parse([], {"REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": "c"})
    assert (usage.value.exit_code, conflict.value.exit_code) == (2, 1)
    assert conflict.value.problems == ("--tls-client-cert-file is set alone: set --tls-client-key-file too, or neither",)


@pytest.mark.parametrize(
    "argv",
    [
        ["--redis.pasword=kiwi"],
        ["--redis.pasword", "kiwi"],
        ["--redis.password", "a", "kiwi"],
        ["--poll.interval", "--redis.password=kiwi"],
        ["--redis.addr", "h", "redis://:kiwi@h"],
    ],
)
def test_a_mistake_never_shows_a_password(argv: list[str]) -> None:
    assert "kiwi" not in "\n".join(problems_of(*argv))


@pytest.mark.parametrize("argument", ["--help", "-help", "-h", "--version"])
def test_help_and_version_are_given_whatever_else_is_wrong(argument: str) -> None:
    run = parse(["--bogus", argument, "--poll.interval=x"], {"REDIS_EXPORTER_DEBUG": "maybe"}).run
    assert run.help != run.version


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [(":9121", "", 9121), ("127.0.0.1:9121", "127.0.0.1", 9121), ("[::1]:9121", "::1", 9121), ("localhost:0", "localhost", 0)],
)
def test_listen_address(text: str, host: str, port: int) -> None:
    assert split_listen_address(text) == (host, port)


@pytest.mark.parametrize("text", ["", "9121", "localhost", "::1:9121", ":65536", ":http", "http://localhost:9121", ":9121/"])
def test_bad_listen_address(text: str) -> None:
    assert problems_of(f"--web.listen-address={text}") == [
        f"--web.listen-address={text}: write [host]:port, such as :9121, 127.0.0.1:9121 or [::1]:9121"
    ]


@pytest.mark.parametrize("path", [*ENDPOINTS, "/health/", "/-/anything"])
def test_the_telemetry_path_is_none_of_the_other_endpoints(path: str) -> None:
    [problem] = problems_of(f"--web.telemetry-path={path}")
    assert problem.startswith(f"--web.telemetry-path={path}: ")


@pytest.mark.parametrize("path", ["metrics", "/a b", "/a?b", "/a#b", "/{a}", "//a"])
def test_bad_telemetry_path(path: str) -> None:
    [problem] = problems_of(f"--web.telemetry-path={path}")
    assert "write a path that begins with /" in problem


@pytest.mark.parametrize(
    ("argv", "intervals", "rounded"),
    [
        ([], (5, 15, 60, 300), []),
        (["--poll.interval=7s"], (7, 21, 63, 300), ["standard", "slow"]),
        (["--poll.interval=100ms", "--poll.standard-interval=300ms"], (0.1, 0.3, 60, 300), []),
        (["--poll.interval=30s"], (30, 30, 60, 300), ["standard"]),
        (
            ["--poll.interval=2s", "--poll.standard-interval=fast", "--poll.slow-interval=fast", "--poll.scan-interval=fast"],
            (2, 2, 2, 2),
            [],
        ),
    ],
)
def test_lanes_are_whole_multiples_of_the_fast_one(argv: list[str], intervals: tuple[float, ...], rounded: list[str]) -> None:
    poll = parse(argv, {}).poll
    assert lanes(poll) == dict(zip(Lane, intervals, strict=True))
    assert [note.split()[1] for note in lane_notes(poll)] == rounded


def test_a_rounded_lane_is_told() -> None:
    note = "the standard lane runs every 30s, not 15s: a whole multiple of the fast lane's 30s"
    assert lane_notes(parse(["--poll.interval=30s"], {}).poll) == [note]


def test_help_shows_every_option_within_its_columns() -> None:
    text = help_text({"check": "look"})
    assert max(map(len, text.splitlines())) <= HELP_COLUMNS
    for row in rows():
        assert f"  --{row.flag}" in text
        assert f"[{row.variable}]" in text or not row.variable
        assert row.group + ":\n" in text
    assert "--redis-only-metrics --redis-metrics-only\n" in text
    assert "--help -h\n" in text


@by_flag
def test_the_configuration_is_printed_with_its_sources(option: Option) -> None:
    lines = print_config(parse(["--namespace=valkey"], {"REDIS_USER": "watcher"})).splitlines()
    [line] = [line for line in lines if line.startswith(f"--{option.flag}=")]
    expected = {"namespace": "valkey  (flag)", "redis.user": "watcher  (environment: REDIS_USER)"}
    assert line.partition("=")[2] == expected.get(option.flag, f"{option.default}  (default)")


@pytest.mark.parametrize(
    ("addresses", "shown"),
    [
        ("redis://u:kiwi@h:1,redis://h2", "redis://***@h:1,redis://h2"),
        ("redis://h1,redis://:kiwi@h2", "redis://h1,redis://***@h2"),
        ("redis://:ki,wi@h", "redis://***@h"),
        ("u:ki/w#i@x@h", "***@h"),
    ],
)
def test_printed_addresses_hold_no_userinfo(addresses: str, shown: str) -> None:
    assert f"--redis.addr={shown}  (flag)\n" in print_config(parse([f"--redis.addr={addresses}"], {}))


def test_secrets_are_in_no_printed_form() -> None:
    options = parse(["--redis.addr=redis://:kiwi@h"], {"REDIS_PASSWORD": "kiwi"})
    assert "--redis.password=***  (environment: REDIS_PASSWORD)\n" in print_config(options)
    assert "kiwi" not in repr(options) + print_config(options)


def go_flags() -> list[dict[str, str]]:
    with (Path(__file__).parent / "data" / "go_flags.csv").open(newline="") as file:
        return list(csv.DictReader(file))


#: where a default is written otherwise
DEFAULTS = {"connection-timeout": "15s"}


@pytest.mark.parametrize("row", go_flags(), ids=lambda row: row["flag"])
def test_every_flag_of_the_go_exporter_is_here_with_its_variable_and_default(row: dict[str, str]) -> None:
    option = next(option for option in OPTIONS if row["flag"] in (option.flag, *option.aliases))
    assert (option.variable or "") == row["env"]
    assert option.default == DEFAULTS.get(row["flag"], row["default"])
    assert (option.form is BOOL) == (row["type"] == "bool")


@pytest.mark.parametrize(
    ("flag", "text", "value"), [("log-level", "loud", "INFO"), ("log-level", "warn", "WARN"), ("log-format", "xml", "txt")]
)
def test_words_that_the_go_exporter_lets_pass(flag: str, text: str, value: str) -> None:
    options = parse([f"--{flag}={text}"], {})
    assert value == (options.log.level if flag == "log-level" else options.log.format)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--tls-server-key-file=/key"], "--tls-server-key-file is set alone"),
        (["--tls-server-cert-file=/cert"], "--tls-server-cert-file is set alone"),
        (["--tls-server-ca-cert-file=/ca"], "--tls-server-ca-cert-file is set without a certificate"),
    ],
)
def test_half_of_https_is_refused(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(argv, {})
