"""The options in a configuration file: who wins, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.cli import main
from exporter.errors import ConfigError, UsageError
from exporter.options.commandline import parse, print_config, read_again
from exporter.options.option import Setting
from exporter.options.table import Options
from exporter.options.values import KeyName


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "redis_exporter.yml"


def read(file: Path, text: str, *argv: str, **environ: str) -> Options:
    file.write_text(text)
    return parse([f"--config.file={file}", *argv], environ)


def faults(options: Options) -> list[str]:
    return [line for file in options.config_files for line in file.faults.lines]


class TestPrecedence:
    def test_flag_over_variable_over_file_over_default(self, file: Path) -> None:
        text = "options: {poll.interval: 1s, poll.standard-interval: 10s, poll.slow-interval: 20s}"
        variables = {"REDIS_EXPORTER_POLL_INTERVAL": "2s", "REDIS_EXPORTER_POLL_STANDARD_INTERVAL": "12s"}
        poll = read(file, text, "--poll.interval=3s", **variables).poll
        assert (poll.interval_s, poll.standard_interval_s, poll.slow_interval_s, poll.scan_interval_s) == (
            3,
            12,
            20,
            300,
        )

    def test_the_place_is_shown(self, file: Path) -> None:
        options = read(file, "options:\n  debug: true\n  redis.password: kiwi\n", "--poll.interval=3s")
        assert options.settings["debug"] == Setting("true", "file", place=f"{file}, line 2")
        shown = print_config(options)
        assert f"--debug=true  (file: {file}, line 2)\n" in shown
        assert f"--redis.password=***  (file: {file}, line 3)\n" in shown
        assert "--poll.interval=3s  (flag)\n" in shown
        assert "kiwi" not in shown

    def test_other_names_of_an_option_work(self, file: Path) -> None:
        options = read(file, "options: {handbook-names: none, redis-metrics-only: true}")
        assert (options.metrics.second_names, options.metrics.redis_only_metrics) == ("none", True)

    def test_a_key_without_a_value_is_not_set(self, file: Path) -> None:
        options = read(file, "options:\n  poll.interval:\n")
        assert (options.settings["poll.interval"].source, faults(options)) == ("default", [])

    def test_lists_are_written_as_lists(self, file: Path) -> None:
        options = read(
            file,
            "options:\n  redis.addr: [one, 'redis://:a,b@two']\n  check-keys: ['db1=a,b', c]\n"
            "  check-key-groups: ['^(a,\"b)', c]\n  metrics.deny: [redis_a, redis_b]\n",
        )
        assert options.redis.addr == ("one", "redis://:a%2Cb@two")
        assert options.addr_given
        assert options.keys.check_keys == (KeyName(1, b"a,b"), KeyName(0, b"c"))
        assert options.keys.check_key_groups == ('^(a,"b)', "c")
        assert options.metrics.deny == ("redis_a", "redis_b")
        assert faults(options) == []

    def test_secrets_come_from_variables(self, file: Path) -> None:
        text = 'options: {redis.password: "${SECRET}", basic-auth-username: "$${x}"}'
        options = read(file, text, SECRET="kiwi")
        assert (options.redis.password, options.web.basic_auth_username) == ("kiwi", "${x}")
        assert parse([f"--config.file={file}"], {}, of_files={"SECRET": "fig"}).redis.password == "fig"

    def test_it_is_read_again(self, file: Path) -> None:
        options = read(file, "options: {poll.interval: 1s, debug: true}", "--poll.slow-interval=30s")
        file.write_text("options: {poll.interval: 2s, poll.slow-interval: 1h}")
        again = read_again(options, {})
        assert (again.poll.interval_s, again.poll.slow_interval_s, again.log.debug) == (2, 30, False)


class TestTwoFiles:
    def test_both_are_read(self, file: Path, tmp_path: Path) -> None:
        other = tmp_path / "instances.yml"
        other.write_text("options: {debug: true}")
        options = read(file, "options: {poll.interval: 1s}", f"--redis-file={other}")
        assert (options.poll.interval_s, options.log.debug) == (1, True)

    def test_one_that_both_flags_name_is_read_once(self, file: Path) -> None:
        options = read(file, "options: {debug: true}", f"--redis-file={file}")
        assert (len(options.config_files), faults(options), options.log.debug) == (1, [], True)

    def test_an_option_in_both_is_a_mistake(self, file: Path, tmp_path: Path) -> None:
        other = tmp_path / "instances.yml"
        other.write_text("options:\n  debug: false")
        options = read(file, "options: {debug: true}", f"--redis-file={other}")
        assert faults(options) == [
            f"{other}, line 2: options: debug is already set in {file}, line 1: leave one of them out"
        ]


class TestMistakes:
    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("poll.interval: 5", "poll.interval: a duration needs its unit: write 5s"),
            ("poll.intervall: 5s", "unknown option poll.intervall: did you mean poll.interval?"),
            ("--poll.interval: 5s", "unknown option --poll.interval: did you mean poll.interval?"),
            ("weather: fine", "unknown option weather: write the name of a flag, without its dashes"),
            ("config.file: x", "config.file has no place in a file: write it as a flag or a variable"),
            ("redis-file: x", "redis-file has no place in a file: write it as a flag or a variable"),
            ("help: true", "help has no place in a file: write it as a flag or a variable"),
            ("version: true", "version has no place in a file: write it as a flag or a variable"),
            ("print-config: true", "print-config has no place in a file: write it as a flag or a variable"),
            ("poll.interval: [1s]", "poll.interval: write a text, not a list"),
            ("check-keys: {a: b}", "check-keys: write a text or a list of texts, not a map"),
            ("check-keys: [[a]]", "check-keys: an item of the list must be a text, not a list"),
            (
                "metrics.deny: ['a,b']",
                "metrics.deny: an item of the list holds a comma: write each on its own",
            ),
            (
                'redis.password: "${KIWI}"',
                "redis.password: the variable KIWI is not set: set it, or write $${ for a plain ${",
            ),
        ],
    )
    def test_a_mistake_has_its_line(self, file: Path, line: str, why: str) -> None:
        assert faults(read(file, f"options:\n  debug: true\n  {line}\n")) == [
            f"{file}, line 3: options: {why}"
        ]

    def test_an_option_under_two_names(self, file: Path) -> None:
        text = "options:\n  second-names: all\n  handbook-names: none\n"
        assert faults(read(file, text)) == [
            f"{file}, line 3: options: handbook-names is already set in {file}, line 2: leave one of them out"
        ]

    def test_a_section_of_another_form(self, file: Path) -> None:
        assert faults(read(file, "\noptions: [debug]")) == [
            f"{file}, line 2: options must be a map, not a list: write `poll.interval: 5s` below it"
        ]

    def test_a_value_that_a_flag_hides_is_checked_too(self, file: Path) -> None:
        assert len(faults(read(file, "options: {poll.interval: 5}", "--poll.interval=1s"))) == 1

    def test_a_file_that_is_missing(self, file: Path) -> None:
        assert faults(parse([f"--config.file={file}"], {})) == [
            f"{file}: the file cannot be read (No such file or directory): check --config.file"
        ]

    def test_secrets_are_not_shown(self, file: Path) -> None:
        options = read(file, "options:\n  {password:s3cret}\n  {x: y}")
        assert "s3cret" not in str(faults(options))

    def test_the_command_lists_them_with_those_of_the_targets(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file.write_text("redis_instances:\n  - adr: one\noptions:\n  debug: maybe\n")
        assert main(["check", f"--config.file={file}"], {}) == 1
        assert capsys.readouterr().err.split("\n") == [
            f"redis_exporter: {file}, line 2: entry 1: unknown key adr: did you mean addr?",
            f"redis_exporter: {file}, line 2: entry 1: addr is missing: write `addr: redis://host:6379`",
            f"redis_exporter: {file}, line 4: options: debug: write true or false",
            "",
        ]
        assert main([f"--config.file={file}", "--print-config"], {}) == 1
        assert "line 4: options: debug" in capsys.readouterr().err

    def test_the_command_line_comes_first(self, file: Path) -> None:
        with pytest.raises(UsageError, match="unknown flag --debugg"):
            read(file, "options: {debug: maybe}", "--debugg")
        with pytest.raises(ConfigError, match="set alone"):
            read(file, "options: {debug: maybe}", "--tls-client-key-file=x")

    def test_help_reads_no_file(self, file: Path) -> None:
        assert parse([f"--config.file={file}", "--help"], {}).config_files == ()
