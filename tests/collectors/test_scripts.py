"""Scripts: both forms of their results, and what happens when they fail."""

from __future__ import annotations

import dataclasses
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporter.collectors._answered import Answered
from exporter.collectors.scripts import (
    HELP_LENGTH_MAX,
    REPLY_BYTES_MAX,
    RESULT,
    ROWS_MAX,
    VALUES,
    ScriptsCollector,
    wrapped,
)
from exporter.errors import ConfigError, ReplyError, TargetError
from exporter.metrics.catalog import Catalog
from exporter.metrics.lane import Lane
from exporter.metrics.runtime_families import HELP
from exporter.options.commandline import parse, print_config
from exporter.options.values import ScriptFile
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.collectors.conftest import Drive, SessionFactory
from tests.watch_harness import RedisFactory, server_field

REDIS_7 = Facts((7, 0, 15), "redis", "master", "standalone", "r", False, False, 16)
SCRIPTS = ScriptsCollector()
RESULT_OF_A = 'redis_script_result{filename="a.lua"}'


@pytest.fixture
def drive(drive: Drive) -> Drive:
    """Of a server that is known to take scripts."""
    return partial(drive, memory=Answered({"EVAL", "EVAL_RO"}, "r"))


@pytest.fixture
def first_drive(drive: Any) -> Drive:
    """Of a server that was not asked before."""
    original: Drive = drive.func
    return original


def options(*argv: str, script: tuple[ScriptFile, ...] = (ScriptFile("a.lua", b"return {}"),)) -> Any:
    parsed = parse(argv, {})
    return dataclasses.replace(parsed, keys=dataclasses.replace(parsed.keys, script=script))


def read(drive: Drive, result: Any, *argv: str) -> dict[str, str]:
    """A script whose function gave back `result`, its numbers as texts."""
    return drive(SCRIPTS, [json.dumps(result).encode()], facts=REDIS_7, options=options(*argv)).samples()


class TestFiles:
    def test_are_read_at_start(self, tmp_path: Path) -> None:
        file = tmp_path / "a.lua"
        file.write_bytes(b"return {}\xff")
        parsed = parse([f"--script={file}", f"--script={file}"], {})
        assert parsed.keys.script == (ScriptFile(str(file), b"return {}\xff"),)
        assert SCRIPTS.enabled(parsed)
        assert f"--script={file},{file}  (flag)" in print_config(parsed)

    def test_none_means_none(self) -> None:
        assert not SCRIPTS.enabled(parse([], {}))
        assert not SCRIPTS.enabled(parse(["--script="], {}))

    def test_one_that_cannot_be_read_is_told_in_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            parse([f"--script={tmp_path}/gone.lua"], {})
        assert len(caught.value.problems) == 1
        assert "gone.lua cannot be read: No such file or directory" in caught.value.problems[0]
        assert caught.value.exit_code == 1


class TestCommand:
    def test_no_keys_and_one_argument(self, drive: Drive) -> None:
        played = drive(SCRIPTS, [b"{}"], facts=REDIS_7, options=options())
        assert played.asked == [[("EVAL", wrapped(b"return {}"), 0, "0")]]
        assert SCRIPTS.lane is Lane.STANDARD

    def test_read_only_where_the_server_knows_that(self, drive: Drive) -> None:
        read_only = options("--lua-script-read-only")
        assert drive(SCRIPTS, [b"{}"], facts=REDIS_7, options=read_only).asked[0][0][0] == "EVAL_RO"
        assert SCRIPTS.wants(REDIS_7, read_only)
        assert not SCRIPTS.wants(dataclasses.replace(REDIS_7, version=(6, 2, 16)), read_only)
        assert SCRIPTS.wants(dataclasses.replace(REDIS_7, version=(6, 2, 16)), options())
        assert not SCRIPTS.wants(dataclasses.replace(REDIS_7, mode="sentinel"), options())
        assert (SCRIPTS.acl(read_only), SCRIPTS.acl(options())) == (("+eval_ro",), ("+eval",))

    def test_what_declares_a_language_still_begins_with_that(self) -> None:
        assert wrapped(b"#!lua flags=no-writes\nreturn 1").startswith(
            b"#!lua flags=no-writes\nlocal script = function() return 1\n"
        )


class TestResults:
    def test_names_and_numbers_in_turn(self, drive: Drive) -> None:
        assert read(drive, ["users", "5", "rate", "0.25", "far", "-1e9", "odd", "nan"]) == {
            'redis_script_values{key="users",filename="a.lua"}': "5",
            'redis_script_values{key="rate",filename="a.lua"}': "0.25",
            'redis_script_values{key="far",filename="a.lua"}': "-1000000000",
            'redis_script_values{key="odd",filename="a.lua"}': "NaN",
            RESULT_OF_A: "1",
        }

    @pytest.mark.parametrize("empty", [{}, []])
    def test_nothing_is_no_error(self, drive: Drive, empty: Any) -> None:
        assert read(drive, empty) == {RESULT_OF_A: "2"}

    def test_tables_have_names_of_their_own(self, drive: Drive) -> None:
        rows = [
            {"metric": "redis_active_users", "value": "5", "labels": {"user_type": "paying"}},
            {"metric": "active_users", "value": "7.5", "labels": {"user_type": "guest"}},
            {"metric": "jobs_total", "value": "3", "type": "counter", "help": "Jobs."},
            {"metric": "flag", "value": "1", "labels": {"on": True}},
            {"metric": "bare", "value": "1", "labels": []},
        ]
        assert read(drive, rows) == {
            'redis_active_users{user_type="paying"}': "5",
            'redis_active_users{user_type="guest"}': "7.5",
            "redis_jobs_total": "3",
            'redis_flag{on="true"}': "1",
            "redis_bare": "1",
            RESULT_OF_A: "1",
        }

    def test_a_table_alone_is_a_list_of_one(self, drive: Drive) -> None:
        assert read(drive, {"metric": "active_users", "value": "5"}) == {
            "redis_active_users": "5",
            RESULT_OF_A: "1",
        }

    @pytest.mark.parametrize(
        "bad",
        [
            {"metric": "a b", "value": "1"},
            {"metric": 5, "value": "1"},
            {"metric": "a"},
            {"metric": "a", "value": "x"},
            {"metric": "a", "value": True},
            {"metric": "a", "value": "1", "labels": "x"},
            {"metric": "a", "value": "1", "labels": {"b c": "x"}},
            {"metric": "a", "value": "1", "labels": {"__b": "x"}},
            {"metric": "a", "value": "1", "labels": {"le": "x"}},
            {"metric": "a", "value": "1", "labels": {"b": {"c": "d"}}},
            {"metric": "a", "value": "1", "type": "histogram"},
            {"metric": "a", "value": "1", "help": 5},
            {"value": "1"},
            "text",
            ["a", "1"],
            None,
        ],
    )
    def test_a_row_that_is_none_costs_the_result_and_not_the_others(self, drive: Drive, bad: Any) -> None:
        assert read(drive, [{"metric": "good", "value": "1"}, bad]) == {"redis_good": "1", RESULT_OF_A: "0"}

    @pytest.mark.parametrize(
        ("help", "shown"),
        [
            ("Jobs", "Jobs."),
            ("Jobs...", "Jobs."),
            ("two\nlines \\ and\ttabs", "two lines \\\\ and tabs."),
            ("x" * 10_000, "x" * (HELP_LENGTH_MAX - 1) + "…."),
            ("\ud800\x00", "\ufffd\\\\x00."),
            ("", HELP),
            (" . ", HELP),
        ],
    )
    def test_a_help_text_is_made_valid(self, drive: Drive, help: str, shown: str) -> None:
        played = drive(
            SCRIPTS,
            [json.dumps([{"metric": "a", "value": "1", "help": help}]).encode()],
            facts=REDIS_7,
            options=options(),
        )
        assert played.samples() == {"redis_a": "1", RESULT_OF_A: "1"}
        catalog = Catalog([played.family_set])
        catalog.open()
        [text] = [text.decode() for text in catalog.headers if b"redis_a " in text]
        assert text == f"# HELP redis_a {shown} Lane: standard.\n# TYPE redis_a gauge\n"

    def test_rows_beyond_a_bound_are_left_out_and_make_it_an_error(self, drive: Drive) -> None:
        rows = [{"metric": "a", "value": "1", "labels": {"n": str(number)}} for number in range(ROWS_MAX + 1)]
        samples = read(drive, rows)
        assert len(samples) == ROWS_MAX + 1
        assert samples[RESULT_OF_A] == "0"
        assert read(drive, rows[1:])[RESULT_OF_A] == "1"
        pairs = [each for number in range(ROWS_MAX + 1) for each in (f"k{number}", "1")]
        assert len(read(drive, pairs)) == ROWS_MAX + 1
        assert read(drive, pairs)[RESULT_OF_A] == "0"

    def test_a_reply_that_is_too_large_is_an_error(self, drive: Drive) -> None:
        assert read(drive, ["a" * REPLY_BYTES_MAX, "1"]) == {RESULT_OF_A: "0"}

    @pytest.mark.parametrize("value", ["\ud800", "٣", "9" * 5000, "0x10", "1e999"])
    def test_odd_numbers_cost_no_other_value(self, drive: Drive, value: str) -> None:
        assert 'redis_script_values{key="good",filename="a.lua"}' in read(drive, ["bad", value, "good", "1"])
        assert "redis_good" in read(
            drive, [{"metric": "bad", "value": value}, {"metric": "good", "value": "1"}]
        )

    def test_texts_that_are_not_utf_8_are_made_valid(self, drive: Drive) -> None:
        assert 'redis_script_values{key="a\ufffd",filename="a.lua"}' in read(drive, ["a\ud800", "1"])
        assert 'redis_b{c="\ufffd"}' in read(drive, {"metric": "b", "value": "1", "labels": {"c": "\ud800"}})

    def test_the_same_series_twice_is_written_once(self, drive: Drive) -> None:
        assert read(drive, ["a", "1", "a", "2"]) == {
            'redis_script_values{key="a",filename="a.lua"}': "1",
            RESULT_OF_A: "1",
        }

    def test_a_value_that_is_no_number_costs_the_result_and_not_the_others(self, drive: Drive) -> None:
        assert read(drive, ["a", "1", "b", "1_0", "c", None]) == {
            'redis_script_values{key="a",filename="a.lua"}': "1",
            RESULT_OF_A: "0",
        }

    @pytest.mark.parametrize(
        "wrong", [None, "text", "5", True, ["a"], ["a", "1", "b"], {"ok": "OK"}, {"err": "ERR x"}, {"1": "a"}]
    )
    def test_what_is_neither_form_is_an_error(self, drive: Drive, wrong: Any) -> None:
        assert read(drive, wrong) == {RESULT_OF_A: "0"}

    @pytest.mark.parametrize(
        "reply",
        [None, 5, [], b"{", b"[" * 5000, ReplyError("ERR Error compiling script"), ReplyError("NOPERM no")],
    )
    def test_a_script_that_fails_is_a_result(self, drive: Drive, reply: Any) -> None:
        assert drive(SCRIPTS, [reply], facts=REDIS_7, options=options()).samples() == {RESULT_OF_A: "0"}

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            (ReplyError("ERR Error compiling script"), "ERR Error compiling script"),
            (b"5", "neither names and numbers in turn nor tables"),
            (None, "neither names and numbers in turn nor tables"),
            (b'["a"]', "the last name has no number"),
            (b'["a","1","b","x"]', "value 2 cannot be written"),
            (b" " * (REPLY_BYTES_MAX + 1), "the script gave back 524,289 bytes: at most 524,288"),
            (b"[" + b'"a","1",' * ROWS_MAX + b'"a","1"]', "more than 5,000 values"),
        ],
    )
    def test_why_one_fails_is_told_with_its_file(self, drive: Drive, reply: Any, why: str) -> None:
        faults = drive(SCRIPTS, [reply], facts=REDIS_7, options=options()).output.faults
        assert faults is not None
        assert list(faults) == ["a.lua"]
        assert why in faults["a.lua"]

    @pytest.mark.parametrize("reply", [b"{}", b'["a","1"]', ReplyError("NOPERM no")])
    def test_one_that_goes_well_or_is_not_allowed_has_no_fault(self, drive: Drive, reply: Any) -> None:
        assert drive(SCRIPTS, [reply], facts=REDIS_7, options=options()).output.faults is None

    def test_a_server_that_takes_no_script_is_sent_none_of_them(self, first_drive: Drive) -> None:
        two = options(script=(ScriptFile("a.lua", b"x"), ScriptFile("b.lua", b"y")))
        refusal = ReplyError("ERR handle request, command 'EVAL' is not allowed")
        played = first_drive(SCRIPTS, [refusal], facts=REDIS_7, options=two)
        assert played.asked == [[("EVAL", "return 1", 0)]]
        assert played.samples() == {RESULT_OF_A: "0", 'redis_script_result{filename="b.lua"}': "0"}
        assert played.output.faults is None

    def test_whether_it_takes_any_is_asked_once_a_run(self, first_drive: Drive) -> None:
        memory = TargetMemory()
        for run_id in ("r", "s"):
            facts = dataclasses.replace(REDIS_7, run_id=run_id)
            wrong = ReplyError("ERR user_script:1: boom script: 1f, on @user_script:1.")
            for taken in ([[1]], []):
                played = first_drive(SCRIPTS, *taken, [wrong], facts=facts, options=options(), memory=memory)
                assert "boom" in (played.output.faults or {})["a.lua"]

    def test_one_that_fails_costs_no_other(self, drive: Drive) -> None:
        both = options(script=(ScriptFile("a.lua", b"x"), ScriptFile("b.lua", b"y")))
        samples = drive(SCRIPTS, [ReplyError("ERR x"), b'["a","1"]'], facts=REDIS_7, options=both).samples()
        assert samples[RESULT_OF_A] == "0"
        assert samples['redis_script_result{filename="b.lua"}'] == "1"
        assert samples['redis_script_values{key="a",filename="b.lua"}'] == "1"

    @pytest.mark.parametrize("code", ["LOADING", "MASTERDOWN", "BUSY"])
    def test_a_server_that_cannot_now_is_no_fault_of_a_script(self, drive: Drive, code: str) -> None:
        with pytest.raises(TargetError, match=code):
            drive(SCRIPTS, [ReplyError(f"{code} x")], facts=REDIS_7, options=options())

    def test_names_and_types_are_those_of_the_go_exporter(self) -> None:
        assert [(f.name, f.labels) for f in (VALUES, RESULT)] == [
            ("script_values", ("key", "filename")),
            ("script_result", ("filename",)),
        ]


@pytest.mark.server
class TestRealServer:
    def run(
        self, redis_server: RedisFactory, session: SessionFactory, tmp_path: Path, text: str, *argv: str
    ) -> dict[str, str]:
        server = redis_server()
        (tmp_path / "a.lua").write_text(text)
        reader = session(server.port, f"--script={tmp_path}/a.lua", *argv, db=2)
        reader.ask("RPUSH", "list", 1, 2, 3)
        before = server_field(server, "total_error_replies")
        samples = {name.replace(f"{tmp_path}/", ""): value for name, value in reader.poll(SCRIPTS).items()}
        self.errors = server_field(server, "total_error_replies") - before
        return samples

    def test_the_flat_form_in_the_targets_own_database(
        self, redis_server: RedisFactory, session: SessionFactory, tmp_path: Path
    ) -> None:
        text = (
            'return {"keys", tostring(#KEYS), "length", tostring(redis.call("LLEN", "list")), '
            '"argument", ARGV[1]} -- done'
        )
        assert self.run(redis_server, session, tmp_path, text) == {
            'redis_script_values{key="keys",filename="a.lua"}': "0",
            'redis_script_values{key="length",filename="a.lua"}': "3",
            'redis_script_values{key="argument",filename="a.lua"}': "0",
            RESULT_OF_A: "1",
        }
        assert self.errors == 0

    def test_tables_and_exact_numbers(
        self, redis_server: RedisFactory, session: SessionFactory, tmp_path: Path
    ) -> None:
        text = """
            local result = {}
            for _, kind in ipairs({"paying", "guest"}) do
              local labels = {user_type = kind}
              table.insert(result, {metric = "redis_active_users", value = #kind, labels = labels})
            end
            table.insert(result, {metric = "large", value = 123456789012345})
            table.insert(result, {metric = "small", value = 0.1})
            return result
        """
        assert self.run(redis_server, session, tmp_path, text) == {
            'redis_active_users{user_type="paying"}': "6",
            'redis_active_users{user_type="guest"}': "5",
            "redis_large": "123456789012345",
            "redis_small": "0.1",
            RESULT_OF_A: "1",
        }

    @pytest.mark.parametrize(
        ("text", "result"),
        [
            ("return {}", "2"),
            ("return", "0"),
            ("return {'a'", "0"),
            ("return 5", "0"),
            ("error('no')", "0"),
            ("return redis.error_reply('no')", "0"),
            ("return {'a', 'b'}", "0"),
            ("local t = {} t.t = t return t", "0"),
            ("#!lua flags=no-writes\nreturn {'a', 1}", "1"),
        ],
    )
    def test_how_it_ended(
        self, redis_server: RedisFactory, session: SessionFactory, tmp_path: Path, text: str, result: str
    ) -> None:
        assert self.run(redis_server, session, tmp_path, text)[RESULT_OF_A] == result

    def test_read_only_scripts_cannot_write(
        self, redis_server: RedisFactory, session: SessionFactory, tmp_path: Path
    ) -> None:
        text = "redis.call('SET', 'a', 1) return {}"
        assert self.run(redis_server, session, tmp_path, text, "--lua-script-read-only")[RESULT_OF_A] == "0"
        assert self.run(redis_server, session, tmp_path, text)[RESULT_OF_A] == "2"

    def test_the_scripts_of_the_docs_work(
        self, redis_server: RedisFactory, session: SessionFactory, tmp_path: Path
    ) -> None:
        page = Path(__file__).parents[2] / "docs" / "keys.md"
        flat, tables = (
            self.run(redis_server, session, tmp_path, text)
            for text in re.findall(r"```lua\n(.*?)```", page.read_text(), re.DOTALL)
        )
        assert flat == {
            'redis_script_values{key="jobs",filename="a.lua"}': "0",
            'redis_script_values{key="failed",filename="a.lua"}': "3",
            RESULT_OF_A: "1",
        }
        assert tables == {
            'redis_active_users{user_type="paying"}': "12",
            "redis_jobs_done_total": "40",
            RESULT_OF_A: "1",
        }

    def test_a_mistake_is_told_with_its_own_line(
        self, redis_server: RedisFactory, session: SessionFactory, tmp_path: Path
    ) -> None:
        server = redis_server()
        reader = session(server.port)
        told = reader.ask("EVAL", wrapped(b"local a = 1\nreturn a.b.c"), 0, "0")
        assert isinstance(told, ReplyError)
        assert "user_script:2:" in told.text
