"""When a server counts as struggling."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from exporter.errors import (
    BusyError,
    DeadlineError,
    DnsError,
    RefusedError,
    ResetError,
    SilenceError,
    TargetError,
)
from exporter.polling.strain import FORK_FLOOR_S, SLOW_FLOOR_S, Strain
from exporter.protocol.facts import Facts
from exporter.protocol.forks import NO_FORKS, Forks

FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "a", cluster_enabled=False, loading=False)


def judge(strain: Strain, *answers_s: float, facts: Facts = FACTS, forks: Forks = NO_FORKS) -> str:
    """After polls that were answered in these times."""
    found = ""
    for answered_s in answers_s:
        found = strain.judge(answered_s, facts, forks)
    return found


class TestSlow:
    def test_two_answers_in_a_row_that_take_more_than_ten_times_as_long_as_usual(self) -> None:
        strain = Strain()
        assert judge(strain, *[0.01] * 20) == ""
        assert judge(strain, 0.2) == ""
        assert judge(strain, 0.2) == "slow"
        assert judge(strain, 0.2, 0.2) == "slow"
        assert judge(strain, 0.011) == ""

    def test_single_slow_answers_are_none_however_slow(self) -> None:
        strain = Strain()
        assert {judge(strain, 0.001, 3.0) for _ in range(50)} == {""}

    def test_answers_below_the_floor_are_quick_whatever_is_usual(self) -> None:
        strain = Strain()
        judge(strain, *[0.0002] * 20)
        assert judge(strain, *[0.9 * SLOW_FLOOR_S] * 5) == ""

    def test_nine_times_as_long_is_still_usual(self) -> None:
        strain = Strain()
        judge(strain, *[0.01] * 20)
        assert judge(strain, *[0.089] * 3) == ""

    def test_what_is_usual_is_near_most_answers_though_some_take_much_longer(self) -> None:
        strain, dice = Strain(), random.Random(1)
        for _ in range(500):
            judge(strain, dice.choice([0.008, 0.01, 0.012, 0.5]))
        judge(strain, 0.01)
        assert judge(strain, 0.3, 0.3) == "slow"

    def test_a_server_that_is_slow_from_the_start_is_known_when_it_got_quicker(self) -> None:
        strain = Strain()
        assert judge(strain, *[1.0] * 10) == ""
        judge(strain, *[0.001] * 60)
        assert judge(strain, 0.3, 0.3) == "slow"

    def test_what_lasts_long_becomes_usual(self) -> None:
        """100 times slower: after about 460 polls."""
        strain = Strain()
        judge(strain, *[0.01] * 20)
        polls = 0
        judge(strain, 1.0)
        while judge(strain, 1.0):
            polls += 1
        assert 300 < polls < 700

    def test_answers_of_unknown_times_say_nothing(self) -> None:
        strain = Strain()
        judge(strain, *[0.01] * 20)
        assert judge(strain, 0.2, 0.0, 0.0) == ""
        assert judge(strain, 0.2) == "slow"
        assert judge(strain, 0.0) == "slow"


class TestForks:
    @staticmethod
    def forked(newest_s: float, *, is_running: bool = True) -> Forks:
        return Forks(is_running, newest_s)

    def test_while_a_child_works_whose_fork_took_unusually_long(self) -> None:
        strain = Strain()
        for _ in range(5):
            assert judge(strain, 0.01, forks=self.forked(0.05)) == ""
            assert judge(strain, 0.01, forks=self.forked(0.05, is_running=False)) == ""
        long = self.forked(0.4)
        assert judge(strain, 0.01, 0.01, forks=long) == "forking"
        assert judge(strain, 0.01, forks=self.forked(0.4, is_running=False)) == ""

    def test_a_child_whose_fork_was_as_always_is_none(self) -> None:
        strain = Strain()
        for newest_s in (1.0, 1.1, 0.9, 1.2, 2.0):
            assert judge(strain, 0.01, forks=self.forked(newest_s)) == ""

    def test_forks_below_the_floor_are_short_whatever_is_usual(self) -> None:
        strain = Strain()
        judge(strain, 0.01, forks=self.forked(0.001))
        assert judge(strain, 0.01, forks=self.forked(0.9 * FORK_FLOOR_S)) == ""

    def test_after_a_restart_the_forks_before_it_are_still_known(self) -> None:
        strain = Strain()
        judge(strain, 0.01, forks=self.forked(0.05))
        judge(strain, 0.01, forks=Forks(is_running=False, newest_s=0.0))
        assert judge(strain, 0.01, forks=self.forked(0.4)) == "forking"


class TestOthers:
    def test_a_server_that_loads_its_data(self) -> None:
        strain, loading = Strain(), replace(FACTS, loading=True)
        assert judge(strain, 0.001, facts=loading) == "loading"
        assert judge(strain, 0.001) == ""

    @pytest.mark.parametrize("error", [SilenceError("silent"), BusyError("BUSY")])
    def test_one_that_is_blocked(self, error: TargetError) -> None:
        assert Strain().judge_failure(error, "") == "blocked"

    def test_one_that_stays_blocked_takes_no_new_connection_in_time(self) -> None:
        late = DeadlineError("in the TLS handshake")
        assert Strain().judge_failure(late, "blocked") == "blocked"
        assert Strain().judge_failure(late, "slow") == ""

    @pytest.mark.parametrize(
        "error", [RefusedError("x"), DnsError("x"), ResetError("x"), DeadlineError("no connection")]
    )
    def test_one_that_cannot_be_reached_is_down_and_does_not_struggle(self, error: TargetError) -> None:
        assert Strain().judge_failure(error, "") == ""
