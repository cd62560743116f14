"""What a server refuses is remembered by name, and sent again in time."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable

import pytest

from exporter.errors import CUT_OFF, HANG_UP, ReplyError, ResetError
from exporter.polling.refusals import FIRST_REPROBE_S, REFUSED_MAX, REPROBE_S, Refusals
from exporter.protocol.command import About, Command

ODD = ReplyError("ERR odd")
NOPERM = ReplyError("NOPERM no")
LEN = Command.of("SLOWLOG", "LEN")


def strlen(key: bytes, about: About) -> Command:
    return Command.of("STRLEN", key, about=about)


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


def is_sent(refusals: Refusals, command: Command, now: float = 0.0) -> bool:
    return refusals.find(command.refused_by, now) is None


def test_a_command_about_the_server_is_refused_with_all_its_words(refusals: Refusals) -> None:
    refusals.take([LEN], [ODD], 0.0)
    assert refusals.find(LEN.refused_by, 1.0) is ODD
    assert is_sent(refusals, Command.of("SLOWLOG", "GET", 1))


def test_an_error_to_a_command_about_data_is_of_the_data(refusals: Refusals) -> None:
    refusals.take([strlen(b"a", About.DATA)], [ODD], 0.0)
    assert is_sent(refusals, strlen(b"a", About.DATA))


def test_but_a_permission_is_missing_for_longer(refusals: Refusals) -> None:
    refusals.take([strlen(b"a", About.DATA)], [NOPERM], 0.0)
    assert not is_sent(refusals, strlen(b"a", About.DATA))
    assert is_sent(refusals, strlen(b"b", About.DATA))


def test_keys_that_come_and_go_leave_nothing_behind(refusals: Refusals) -> None:
    def poll(number: int) -> None:
        types = [Command.new(("TYPE", b"%d:%d" % (number, key)), "", About.SERVER) for key in range(100)]
        lives = [Command.new(("PTTL", b"%d:%d" % (number, key)), "", About.DATA) for key in range(100)]
        refusals.take([*types, *lives], [b"string"] * 100 + [1] * 100, float(number))

    poll(0)
    tracemalloc.start()
    try:
        for number in range(1, 200):
            poll(number)
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 50_000


def test_a_trial_is_refused_for_all_data(refusals: Refusals) -> None:
    refusals.take([strlen(b"a", About.TRIAL), strlen(b"b", About.TRIAL)], [ODD, ODD], 0.0)
    assert not is_sent(refusals, strlen(b"c", About.DATA))
    assert is_sent(refusals, Command.of("LLEN", b"c", about=About.DATA))


def test_unless_one_of_them_is_answered(refusals: Refusals) -> None:
    refusals.take([strlen(b"a", About.TRIAL), strlen(b"b", About.TRIAL)], [ODD, 5], 0.0)
    assert not refusals.known


def test_a_missing_permission_may_be_for_one_key(refusals: Refusals) -> None:
    refusals.take([strlen(b"a", About.TRIAL)], [NOPERM], 0.0)
    assert not is_sent(refusals, strlen(b"a", About.TRIAL))
    assert is_sent(refusals, strlen(b"b", About.TRIAL))


def test_a_refused_trial_is_sent_again_for_one_key_alone(refusals: Refusals) -> None:
    keys = [strlen(key, About.TRIAL) for key in (b"a", b"b", b"c")]
    refusals.take(keys, [ODD] * 3, 0.0)
    assert [is_sent(refusals, key, FIRST_REPROBE_S) for key in keys] == [True, False, False]
    refusals.take(keys[:1], [5], FIRST_REPROBE_S)
    assert all(is_sent(refusals, key, FIRST_REPROBE_S) for key in keys)


def test_what_is_answered_is_no_refusal(refusals: Refusals) -> None:
    refusals.take([LEN, LEN, LEN], [7, ReplyError("LOADING x"), None], 0.0)
    assert not refusals.known


def test_nothing_is_learnt_where_info_is_an_error(refusals: Refusals) -> None:
    refusals.take([Command.of("INFO"), LEN], [ODD, ODD], 0.0)
    assert not refusals.known


def test_an_answer_ends_it_and_a_passing_error_does_not(refusals: Refusals) -> None:
    refusals.take([LEN], [ODD], 0.0)
    assert is_sent(refusals, LEN, FIRST_REPROBE_S)
    refusals.take([LEN], [ReplyError("LOADING x")], FIRST_REPROBE_S)
    assert refusals.known
    assert is_sent(refusals, LEN, FIRST_REPROBE_S)
    refusals.take([LEN], [7], FIRST_REPROBE_S)
    assert not refusals.known


def test_it_is_sent_twice_an_hour_at_most(refusals: Refusals) -> None:
    sent = []
    for now in range(0, 10_000, 5):
        if is_sent(refusals, LEN, float(now)):
            refusals.take([LEN], [ODD], float(now))
            sent.append(now)
    assert sent == [0, FIRST_REPROBE_S, FIRST_REPROBE_S + REPROBE_S, FIRST_REPROBE_S + 2 * REPROBE_S]


def errors_of(refusals: Refusals, seconds: int, act: Callable[[float], object]) -> list[int]:
    """When a command that `act` does something about each second is sent and refused."""
    errors = []
    for now in range(seconds):
        act(float(now))
        if is_sent(refusals, LEN, float(now)):
            refusals.take([LEN], [ODD], float(now))
            errors.append(now)
    return errors


def assert_two_an_hour(errors: list[int]) -> None:
    assert len(errors) > 3
    assert all(third - first >= REPROBE_S for first, third in zip(errors, errors[2:], strict=False)), errors


def test_nor_more_often_by_a_server_that_answers_every_other_time(refusals: Refusals) -> None:
    def answer(now: float) -> None:
        if refusals.known and is_sent(refusals, LEN, now):
            refusals.take([LEN], [7], now)
            assert not refusals.known

    assert_two_an_hour(errors_of(refusals, 20_000, answer))


def test_nor_by_one_that_fails_again_and_again(refusals: Refusals) -> None:
    assert_two_an_hour(errors_of(refusals, 20_000, lambda now: refusals.doubt() if now % 7 == 0 else None))


def test_nor_by_runs_that_take_turns(refusals: Refusals) -> None:
    errors: dict[str, list[int]] = {"a": [], "b": []}
    run = "a"
    for now in range(0, 40_000, 5):
        if now % 540 == 0:
            refusals.change_run(run, run := "b" if run == "a" else "a")
        if is_sent(refusals, LEN, float(now)):
            refusals.take([LEN], [ODD], float(now))
            errors[run].append(now)
    assert_two_an_hour(errors["a"])
    assert_two_an_hour(errors["b"])


def test_what_came_with_the_first_info_of_a_run_is_of_that_run(refusals: Refusals) -> None:
    refusals.take([LEN], [ODD], 0.0)
    refusals.take([Command.of("CLIENT", "LIST")], [ODD], 5.0)
    refusals.change_run("a", "b")
    assert is_sent(refusals, LEN, 6.0)
    assert not is_sent(refusals, Command.of("CLIENT", "LIST"), 6.0)
    refusals.take([Command.of("INFO")], [b""], 6.0)
    refusals.change_run("b", "a")
    assert not is_sent(refusals, LEN, 7.0)
    assert is_sent(refusals, Command.of("CLIENT", "LIST"), 7.0)


def test_a_command_of_two_collectors_is_sent_again_for_one(refusals: Refusals) -> None:
    refusals.take([LEN], [ODD], 0.0)
    assert [is_sent(refusals, LEN, FIRST_REPROBE_S) for _ in range(2)] == [True, False]


def test_each_is_fresh_once_and_shown_without_what_it_names(refusals: Refusals) -> None:
    script = Command.of("EVAL", "return {secret}", 0)
    for _ in range(2):
        refusals.take([LEN, Command.of("ACL", "LOG", 128), strlen(b"a", About.TRIAL)], [ODD] * 3, 0.0)
    assert [*refusals.take_fresh()] == ["SLOWLOG LEN", "ACL LOG", "STRLEN"]
    assert refusals.take_fresh() == {}
    refusals.take([script], [ODD], 0.0)
    assert [*refusals.take_fresh()] == ["EVAL"]


def test_the_newest_are_remembered_up_to_a_limit(refusals: Refusals) -> None:
    for number in range(REFUSED_MAX + 5):
        refusals.add(f"TYPE k{number}", NOPERM, 0.0)
    assert len(refusals.known) == REFUSED_MAX
    assert refusals.find(["TYPE k4"], 0.0) is None
    assert refusals.find(["TYPE k5"], 0.0) is NOPERM


class TestHangingUp:
    """Some proxies close the connection in place of an error reply."""

    GET, LATEST = Command.of("SLOWLOG", "GET", 1), Command.of("LATENCY", "LATEST")

    def test_once_may_be_the_end_of_the_server(self, refusals: Refusals) -> None:
        refusals.note_hang_up([LEN, self.GET], 0.0)
        refusals.note_hang_up([self.LATEST], 5.0)
        assert is_sent(refusals, LEN, 5.0)
        assert is_sent(refusals, self.LATEST, 5.0)

    def test_twice_in_a_row_at_one_command_refuses_it_for_this_run(self, refusals: Refusals) -> None:
        for now in (0.0, 5.0):
            refusals.note_hang_up([LEN, self.GET], now)
        assert not is_sent(refusals, LEN, 100 * REPROBE_S)
        assert is_sent(refusals, self.GET)
        assert [*refusals.take_fresh()] == ["SLOWLOG LEN"]
        refusals.change_run("a", "b")
        assert is_sent(refusals, LEN)

    @pytest.mark.parametrize("steady", [False, True])
    def test_a_reply_in_between_ends_the_row(self, refusals: Refusals, steady: bool) -> None:
        refusals.note_hang_up([LEN, self.GET], 0.0)
        if steady:
            refusals.note_none([self.GET, LEN], 5.0)
        else:
            refusals.take([self.GET, LEN], [[], 0], 5.0)
        refusals.note_hang_up([LEN, self.GET], 10.0)
        assert is_sent(refusals, LEN, 10.0)

    def test_replies_to_other_commands_do_not_end_it(self, refusals: Refusals) -> None:
        refusals.note_hang_up([LEN, self.GET], 0.0)
        refusals.take([self.GET], [[]], 5.0)
        refusals.note_none([self.GET], 6.0)
        refusals.note_hang_up([LEN, self.GET], 10.0)
        assert not is_sent(refusals, LEN, 10.0)

    def test_the_first_time_is_enough_where_another_one_is_refused_so(self, refusals: Refusals) -> None:
        for command in (LEN, LEN, self.GET):
            refusals.note_hang_up([command], 0.0)
        assert not is_sent(refusals, self.GET)

    def test_what_this_run_has_answered_is_refused_for_a_while_only(self, refusals: Refusals) -> None:
        """Somebody ends connections again and again: no proxy refuses the command."""
        refusals.take([LEN, self.GET], [0, []], 0.0)
        for now in (5.0, 10.0):
            refusals.note_hang_up([LEN, self.GET], now)
        assert not is_sent(refusals, LEN, 11.0)
        assert is_sent(refusals, LEN, 10.0 + FIRST_REPROBE_S)

    def test_nor_is_it_a_sign_of_such_a_proxy(self, refusals: Refusals) -> None:
        refusals.take([LEN], [0], 0.0)
        for command in (LEN, LEN, self.GET):
            refusals.note_hang_up([command], 5.0)
        assert is_sent(refusals, self.GET)

    @pytest.mark.parametrize("at", [0.0, 60.0])
    def test_what_another_run_has_answered_says_nothing_of_this_one(
        self, refusals: Refusals, at: float
    ) -> None:
        """But what the first batch that shows the new run has answered does."""
        refusals.take([LEN], [0], 0.0)
        refusals.take([self.GET], [[]], at)
        refusals.change_run("a", "b")
        for _ in range(2):
            refusals.note_hang_up([LEN], 65.0)
        assert is_sent(refusals, LEN, 65.0 + FIRST_REPROBE_S) == (at == 0.0)

    def test_targets_share_what_they_know_of_answers(self) -> None:
        one, other = Refusals(), Refusals()
        for refusals in (one, other):
            refusals.take([LEN, self.GET], [0, []], 0.0)
        assert one._answered is other._answered

    def test_a_reply_that_is_cut_off_twice_refuses_it_for_a_while(self, refusals: Refusals) -> None:
        refusals.note_hang_up([LEN, self.GET], 0.0, is_within=True)
        assert is_sent(refusals, LEN, 1.0)
        refusals.note_hang_up([LEN, self.GET], 5.0, is_within=True)
        assert not is_sent(refusals, LEN, 6.0)
        assert is_sent(refusals, LEN, 5.0 + FIRST_REPROBE_S)
        refusals.note_hang_up([LEN, self.GET], 5.0 + FIRST_REPROBE_S, is_within=True)
        assert not is_sent(refusals, LEN, 5.0 + 2 * FIRST_REPROBE_S)

    def test_a_reply_that_is_cut_off_once_is_no_sign_of_such_a_proxy(self, refusals: Refusals) -> None:
        for command in (LEN, LEN):
            refusals.note_hang_up([command], 0.0)
        refusals.note_hang_up([self.GET], 0.0, is_within=True)
        assert is_sent(refusals, self.GET)

    def test_nor_about_one_that_was_answered_for_another_key(self, refusals: Refusals) -> None:
        refusals.take([Command.of("TYPE", b"a")], [b"string"], 0.0)
        for now in (5.0, 10.0):
            refusals.note_hang_up([Command.of("TYPE", b"b")], now)
        assert [each.reply.code for each in refusals.known.values()] == [CUT_OFF]

    @pytest.mark.parametrize(("is_within", "code"), [(True, CUT_OFF), (False, HANG_UP)])
    def test_what_ended_a_batch_says_which_command_it_was(
        self, refusals: Refusals, is_within: bool, code: str
    ) -> None:
        error = ResetError("closed")
        error.answered, error.is_within = 1, is_within
        for _ in range(2):
            refusals.note_failure(error, [self.GET, LEN])
        assert {name: refusal.reply.code for name, refusal in refusals.known.items()} == {LEN.name: code}

    def test_info_is_always_sent(self, refusals: Refusals) -> None:
        for _ in range(3):
            refusals.note_hang_up([Command.of("INFO"), LEN], 0.0)
            refusals.note_hang_up([], 0.0)
        assert not refusals.known


def test_each_change_has_another_version(refusals: Refusals) -> None:
    changes: list[Callable[[], object]] = [
        lambda: refusals.add("A", ODD, 0.0),
        lambda: refusals.drop("A"),
        lambda: refusals.doubt(),
        lambda: refusals.change_run("a", "b"),
        lambda: refusals.forget(),
        lambda: refusals.note_hang_up([LEN], 0.0),
        lambda: refusals.take([LEN], [ODD], 0.0),
    ]
    refusals.note_hang_up([LEN], 0.0)  # the next one counts
    versions = [refusals.version]
    for change in changes:
        change()
        versions.append(refusals.version)
    assert len(set(versions)) == len(versions)


def test_what_is_answered_as_before_changes_nothing(refusals: Refusals) -> None:
    refusals.add("A", ODD, 0.0)
    version = refusals.version
    refusals.take([LEN], [5], 1.0)
    refusals.drop(LEN.name)
    refusals.note_none([LEN], 2.0)
    assert not is_sent(refusals, Command.of("A"), 3.0)
    assert refusals.version == version


def test_it_is_known_from_when_on_a_command_is_sent_again(refusals: Refusals) -> None:
    refusals.add("A", ODD, 100.0)
    refusals.add("B", ODD, 50.0)
    assert refusals.again_at(["A"]) == 100.0 + FIRST_REPROBE_S
    assert refusals.again_at(["A", "B", "C"]) == 50.0 + FIRST_REPROBE_S
    assert refusals.again_at(["C"]) == math.inf


def test_nothing_is_settled_until_the_answer_to_a_trial_comes(refusals: Refusals) -> None:
    refusals.add(LEN.name, ODD, 0.0)
    assert refusals.is_settled
    assert is_sent(refusals, LEN, FIRST_REPROBE_S)
    assert not refusals.is_settled
    refusals.add(LEN.name, ODD, FIRST_REPROBE_S)
    assert refusals.is_settled


def test_nor_until_the_log_has_what_is_new(refusals: Refusals) -> None:
    refusals.add(LEN.name, ODD, 0.0, LEN.name)
    assert not refusals.is_settled
    refusals.take_fresh()
    assert refusals.is_settled
