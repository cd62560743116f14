"""The tree of errors: whose fault, which reason, which exit code; and what an error reply of a server
means."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import pytest

from exporter import errors
from exporter.errors import (
    REASONS,
    ConfigError,
    InternalError,
    RedpollError,
    ReplyError,
    RequestError,
    TargetError,
    UsageError,
)


def below(kind: type[RedpollError]) -> Iterator[type[RedpollError]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


class TestTree:
    def test_every_reason_has_one_error_of_a_target_and_every_such_error_a_reason(self) -> None:
        of_targets = TargetError.__subclasses__()
        assert len({kind.reason for kind in of_targets}) == len(of_targets)
        assert {*(kind.reason for kind in of_targets), TargetError.reason} == set(REASONS)

    def test_an_error_of_a_closer_kind_has_the_reason_of_its_kind(self) -> None:
        for kind in TargetError.__subclasses__():
            assert {closer.reason for closer in below(kind)} <= {kind.reason}

    def test_reasons_are_the_contract_s_in_its_order(self) -> None:
        assert " ".join(REASONS) == (
            "dns refused reset timeout tls auth noperm busy max_clients protocol too_large open_files "
            "cancelled internal"
        )

    def test_a_failure_that_is_of_no_kind_is_ours(self) -> None:
        assert TargetError("what?").reason == InternalError("what?").reason == "internal"

    def test_every_error_of_the_module_is_in_the_tree_but_the_reply_which_is_a_value(self) -> None:
        raised = {
            value
            for value in vars(errors).values()
            if isinstance(value, type) and issubclass(value, Exception)
        }
        own = {kind for kind in below(RedpollError) if kind.__module__ == errors.__name__}
        assert raised == {RedpollError, *own, ReplyError}

    @pytest.mark.parametrize(
        ("kind", "code"),
        [(UsageError, 2), (ConfigError, 1), (RequestError, 1), (TargetError, 1), (InternalError, 1)],
    )
    def test_exit_codes(self, kind: type[RedpollError], code: int) -> None:
        assert kind("why").exit_code == code

    def test_a_configuration_tells_all_its_problems_one_line_each(self) -> None:
        error = ConfigError("the first", "the second")
        assert error.problems == ("the first", "the second")
        assert str(error) == "the first\nthe second"


class TestReplyCode:
    @pytest.mark.parametrize(
        ("text", "code"),
        [("NOPERM no", "NOPERM"), ("LOADING", "LOADING"), ("ERR unknown command 'X'", "ERR"), ("", "")],
    )
    def test_it_is_the_first_word(self, text: str, code: str) -> None:
        reply = ReplyError(text)
        assert reply.code == code
        assert reply.text == str(reply) == text


# as real servers and services word it
REFUSALS = [
    "ERR unknown command 'SLOWLOG'",
    "ERR unknown command `MEMORY`, with args beginning with: `STATS`, ",
    "ERR Unknown subcommand or wrong number of arguments for 'HISTOGRAM'. Try LATENCY HELP.",
    "ERR Unknown sentinel subcommand 'CKQUORUM'",
    "ERR Syntax error, try CLIENT (LIST | KILL ip:port)",
    "ERR This instance has cluster support disabled",
    "NOPERM this user has no permissions to run the 'config' command or its subcommand",
    "ERR command 'client' not support for normal user",  # Tair
    "ERR Command is not available: 'SLOWLOG'. See https://example.com/docs",  # Upstash
    "ERR handle request, command 'LATENCY' is not allowed",  # codis
    "ERR auth permission deny",  # predixy
    "ERR admin permission required to perform the command",  # Kvrocks
    "unsupported command",
    "",
]
NO_REFUSALS = [
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOAUTH Authentication required.",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN The cluster is down",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority",
    "TOOLARGE a reply is too large",
    "UNREACHABLE 10.0.0.2:7000: connection refused",
]


class TestRefusal:
    @pytest.mark.parametrize("text", REFUSALS)
    def test_the_server_does_not_take_the_command_whatever_its_words(self, text: str) -> None:
        assert ReplyError(text).is_refusal

    @pytest.mark.parametrize("text", NO_REFUSALS)
    def test_it_may_take_it_later_or_for_other_data(self, text: str) -> None:
        assert not ReplyError(text).is_refusal


class TestAsFailureOfThePoll:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("NOAUTH Authentication required.", "auth"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "auth"),
            ("ERR operation not permitted", "auth"),  # 2.6
            ("ERR invalid password", "auth"),  # up to 5.0
            ("NOPERM User watcher has no permissions to run the 'info' command", "noperm"),
            ("BUSY Valkey is busy running a script.", "busy"),
            ("DENIED Redis is running in protected mode because protected mode is enabled", "refused"),
            ("ERR max number of clients reached", "max_clients"),
            ("ERR max number of clients + cluster connections reached", "max_clients"),
            ("ERR unknown command 'INFO'", "protocol"),
            ("", "protocol"),
        ],
    )
    def test_its_reason(self, text: str, reason: str) -> None:
        failure = ReplyError(text).as_target_error()
        assert failure.reason == reason
        assert str(failure) == text


def test_what_an_error_reply_shows_is_made_once_and_only_when_it_is_wanted() -> None:
    cleaned: list[str] = []

    def clean(text: str) -> str:
        cleaned.append(text)
        return text.replace("s3cret", "***")

    reply = ReplyError("ERR no s3cret", clean)
    assert (reply.code, cleaned) == ("ERR", [])
    assert (str(reply), reply.text, str(reply.as_target_error())) == ("ERR no ***",) * 3
    assert cleaned == ["ERR no s3cret"]
    assert "s3cret" not in repr(reply)
    assert "s3cret" not in "".join(traceback.format_exception(reply))
