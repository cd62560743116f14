"""Which commands about keys are tried on one key first, and what their replies mean for the others."""

from __future__ import annotations

import pytest

from exporter.collectors._key_trials import Args, Trials, join, refuses_command, verb_of
from exporter.errors import ReplyError
from exporter.protocol.command import About, Reply

LLEN_A: Args = ("LLEN", b"a")
LLEN_B: Args = ("LLEN", b"b")
NO_COMMAND = ReplyError("NOPERM User x has no permissions to run the 'llen' command")
NO_KEY = ReplyError("NOPERM No permissions to access a key")


@pytest.mark.parametrize(
    ("args", "verb"),
    [
        (LLEN_A, "LLEN"),
        (("MEMORY", "USAGE", b"a"), "MEMORY USAGE"),
        (("XINFO", "CONSUMERS", b"a", b"group"), "XINFO CONSUMERS"),
        (("GETRANGE", b"a", 0, 9), "GETRANGE"),
    ],
)
def test_the_words_before_the_key_name_a_command(args: Args, verb: str) -> None:
    assert verb_of(args) == verb


@pytest.mark.parametrize(
    ("reply", "refuses"),
    [
        (NO_COMMAND, True),
        (ReplyError("NOPERM this user has no permissions to run the 'llen' command or its subcommand"), True),
        (ReplyError("ERR unknown command 'LLEN'"), True),
        (ReplyError("ERR not supported here"), True),
        (NO_KEY, False),
        (ReplyError("NOPERM this user has no permissions to access one of the keys"), False),
        (ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value"), False),
        (ReplyError("LOADING Redis is loading the dataset in memory"), False),
        (3, False),
        (None, False),
    ],
)
def test_an_error_refuses_the_command_or_speaks_of_its_key(reply: Reply, refuses: bool) -> None:
    assert refuses_command(reply, "LLEN") is refuses


class TestTrials:
    def test_an_unknown_command_goes_out_for_one_key_only(self) -> None:
        trials = Trials(set())
        assert [trials.goes_first(args) for args in (LLEN_A, LLEN_B, LLEN_A)] == [True, False, True]

    def test_one_that_was_answered_goes_out_for_all(self) -> None:
        answered: set[str] = set()
        trials = Trials(answered)
        trials.goes_first(LLEN_A)
        trials.judge([LLEN_A], [7])
        assert answered == {"LLEN"}
        assert Trials(answered).goes_first(LLEN_B)
        assert trials.refused == {}

    def test_one_that_is_refused_is_known_by_its_error(self) -> None:
        trials = Trials(set())
        trials.goes_first(LLEN_A)
        trials.judge([LLEN_A], [NO_COMMAND])
        assert trials.refused == {"LLEN": NO_COMMAND}

    @pytest.mark.parametrize("reply", [NO_KEY, ReplyError("WRONGTYPE no list")])
    def test_an_error_about_the_key_says_nothing_of_the_command(self, reply: Reply) -> None:
        answered: set[str] = set()
        trials = Trials(answered)
        trials.goes_first(LLEN_A)
        trials.judge([LLEN_A], [reply])
        assert (answered, trials.refused) == (set(), {})

    def test_a_right_that_was_taken_away_makes_it_unknown_again(self) -> None:
        answered: set[str] = {"LLEN"}
        Trials(answered).judge([LLEN_A], [NO_COMMAND])
        assert answered == set()

    def test_what_is_refused_for_all_keys_and_what_for_one(self) -> None:
        trials = Trials({"SCARD"})
        trials.goes_first(LLEN_A)
        of = trials.about
        assert of(LLEN_A) is About.TRIAL
        assert of(LLEN_B) is of(("SCARD", b"c")) is About.DATA
        assert of(("TYPE", b"a")) is About.SERVER


def test_replies_are_in_the_order_of_the_commands() -> None:
    one, two, three, four = ("A", b"k"), ("B", b"k"), ("C", b"k"), ("D", b"k")
    refused = {"C": NO_COMMAND}
    joined = join([one, two, three, four], [two, three, four], [two, four], [1], [2, 4], refused)
    assert list(joined) == [1, 2, NO_COMMAND, 4]
