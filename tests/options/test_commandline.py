"""Reading the command line and the environment: Go's syntax, who wins, what a mistake says, what is
printed about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.errors import ConfigError, UsageError
from exporter.options.commandline import HELP_COLUMNS, help_text, parse, print_config, read_again
from exporter.options.option import Option
from exporter.options.table import OPTIONS


def problems_of(*argv: str, **environ: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse(argv, environ)
    return str(caught.value).splitlines()


def test_the_last_of_a_flag_holds_but_addresses_add_up() -> None:
    options = parse(
        ["-namespace", "a", "--namespace=b", "--redis.addr=h1, h2", "--redis.addr", "h3"],
        {"REDIS_ADDR": "h4"},
    )
    assert options.metrics.namespace == "b"
    assert options.redis.addr == ("h1", "h2", "h3")
    assert options.addr_given


def test_a_value_may_hold_equals_signs_and_dashes() -> None:
    assert parse(["--redis.password=a=b"], {}).redis.password == "a=b"
    assert parse(["--redis.password", "-a"], {}).redis.password == "-a"


def test_variables_that_are_set_but_empty() -> None:
    options = parse(
        [],
        {
            "REDIS_ADDR": "",
            "REDIS_EXPORTER_NAMESPACE": "",
            "REDIS_EXPORTER_DEBUG": "",
            "REDIS_EXPORTER_POLL_INTERVAL": "",
            "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": "",
            "REDIS_EXPORTER_WEB_TELEMETRY_PATH": "",
        },
    )
    assert options.redis.addr == ()
    assert options.addr_given
    assert options.metrics.namespace == ""
    assert options.log.debug is False
    assert options.poll.interval_s == 5
    assert options.web.listen_address == ":9121"
    assert options.web.telemetry_path == "/metrics"


def test_variables_of_others_are_left_alone() -> None:
    assert (
        parse([], {"REDIS_EXPORTER_PORT": "tcp://10.0.0.1:9121", "REDIS_EXPORTER_VERSION": "1.2"}).run.version
        is False
    )


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
        ("--check-keys-batch-size=-5", "--check-keys-batch-size=-5: the least is 1"),
        (
            "--tls-server-min-version=TLS1.4",
            "--tls-server-min-version=TLS1.4: write one of TLS1.0, TLS1.1, TLS1.2, TLS1.3",
        ),
        (
            "--web.listen-address=9121",
            "--web.listen-address=9121: write [host]:port, such as :9121 or [::1]:9121; or unix:/run/x.sock, "
            "or fd://",
        ),
        ("--stale-policy=keep", "--stale-policy=keep: write one of drop, serve, fail"),
        (
            "--web.telemetry-path=",
            "--web.telemetry-path=: write a path that begins with / and holds letters, digits and . _ ~ - "
            "only, such as /metrics",
        ),
        (
            "--namespace=9redis",
            "--namespace=9redis: write letters, digits and _ only, such as redis; do not begin with a digit; "
            "or leave it empty",
        ),
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
    assert conflict.value.problems == (
        "--tls-client-cert-file is set alone: set --tls-client-key-file too, or neither",
    )


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


def test_help_shows_every_option_within_its_columns() -> None:
    text = help_text({"check": "look"})
    assert max(map(len, text.splitlines())) <= HELP_COLUMNS
    for row in OPTIONS:
        assert f"  --{row.flag}" in text
        assert f"[{row.variable}]" in text or not row.variable
        assert row.title + ":\n" in text
    assert "--redis-only-metrics --redis-metrics-only\n" in text
    assert "--help -h\n" in text


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


@pytest.mark.parametrize(
    ("flag", "text", "value"),
    [("log-level", "loud", "INFO"), ("log-level", "warn", "WARN"), ("log-format", "xml", "txt")],
)
def test_words_that_the_go_exporter_lets_pass(flag: str, text: str, value: str) -> None:
    options = parse([f"--{flag}={text}"], {})
    assert value == (options.log.level if flag == "log-level" else options.log.format)


@pytest.mark.parametrize("text", ["0", "-5", "+7"])
def test_a_number_of_groups_may_be_negative(text: str) -> None:
    assert parse([], {"REDIS_EXPORTER_MAX_DISTINCT_KEY_GROUPS": text}).keys.max_distinct_key_groups == int(
        text
    )


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


@pytest.mark.parametrize("text", ["redis://u:s3cret@h", "redis://u:s3cret@h:bad/x"])
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_no_refusal_shows_a_password(option: Option, text: str) -> None:
    """Of an address that was given to the wrong flag, for example."""
    assert "s3cret" not in refusal_of(f"--{option.flag}={text}")


def refusal_of(argument: str) -> str:
    """Empty if the argument is taken."""
    try:
        parse([argument], {})
    except (ConfigError, UsageError) as refusal:
        return str(refusal)
    return ""


def test_a_mistake_names_the_flag_that_was_written() -> None:
    [problem] = problems_of("--handbook-names=bad")
    assert problem.startswith("--handbook-names=bad: write one of ")
    [problem] = problems_of("--second-names=bad")
    assert problem.startswith("--second-names=bad: write one of ")


def test_a_command_after_flags_is_named() -> None:
    with pytest.raises(UsageError, match="argument 2 belongs to no flag: write the command check before"):
        parse(["--debug", "check"], {}, {"check"})
    with pytest.raises(UsageError, match="argument 2 belongs to no flag: flags begin with -"):
        parse(["--debug", "hunter2"], {}, {"check"})


def test_files_are_read_again_under_the_same_flags_and_variables(tmp_path: Path) -> None:
    file = tmp_path / "a.lua"
    file.write_text("return 1")
    options = parse([f"--script={file}", "--redis.addr=one"], {"REDIS_USER": "kiwi"})
    file.write_text("return 2")
    again = read_again(options, {})
    assert [script.text for script in again.keys.script] == [b"return 2"]
    assert (again.redis, again.settings) == (options.redis, options.settings)
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_again(options, {})
