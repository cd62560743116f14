"""What stays of a target and what goes when it gets another assignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from exporter import engine
from exporter.collectors._contract import Batches, Collector, OutWithMemory
from exporter.collectors._enabled import EnabledCollector, enable
from exporter.errors import InternalError, RefusedError, ReplyError, TargetError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.metrics.store import Store
from exporter.options.commandline import parse
from exporter.options.table import Options
from exporter.polling.assignment import Assignment, FamilySets
from exporter.polling.outcome import PollOutcome
from exporter.polling.poll import Poll
from exporter.polling.target_state import TargetState
from exporter.polling.timing import PollTiming
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts
from exporter.targets.target import Target
from exporter.telemetry.target_series import target_family_set

ADDR = "redis://h:6379"
TARGET = Target(ADDR, "redis", "h", 6379, "", 0, user="u", password="old")
EVERY = {Lane.FAST: 1, Lane.STANDARD: 3, Lane.SLOW: 6, Lane.SCAN: 4}
OPTIONS = parse([], {})
ABOUT_TARGET = target_family_set("redis")


def timing(interval_s: float = 10.0, **every: int) -> PollTiming:
    return PollTiming(
        interval_s,
        {**EVERY, **{Lane(lane): times for lane, times in every.items()}},
        1.0,
        scan_deadline_s=2.0,
        max_backoff_s=30.0,
        connection_max_age_s=60.0,
        max_age_s=0.0,
    )


def enabled(collector_name: str, collector_lane: Lane) -> EnabledCollector:
    """A collector that writes one number and remembers something."""
    number = gauge(collector_name, "A number.")

    class Asker(Collector[list[str]]):
        name = collector_name
        lane = collector_lane
        families = (number,)

        def new_memory(self) -> list[str]:
            return ["remembered"]

        def repeats(self, options: Options) -> bool:
            return True

        def collect(self, facts: Facts, options: Options, out: OutWithMemory[list[str]]) -> Batches:
            [reply] = yield [Command.of("GET", self.name)]
            out.add(number, reply)

    return enable(Asker(), "redis")


INFO, STATS, KEYS = (
    enabled("first", Lane.FAST),
    enabled("stats", Lane.STANDARD),
    enabled("keys", Lane.SCAN),
)
FACTS = Facts((7, 0, 15), "redis", "master", "standalone", "a", cluster_enabled=False, loading=False)


def assignment(*collectors: EnabledCollector, target: Target = TARGET) -> Assignment:
    return Assignment(target, FamilySets(collectors, ABOUT_TARGET), timing(), OPTIONS)


def test_the_connections_of_a_fleet_do_not_grow_old_at_once() -> None:
    """Nor do they grow older than is configured."""
    store = Store(["first", ABOUT_TARGET.name])
    made = [assignment(INFO, target=replace(TARGET, addr=f"redis://h{number}:6379")) for number in range(50)]
    ages_s = [TargetState(each, store).context.connection_max_age_s for each in made]
    assert max(ages_s) <= 60.0
    assert min(ages_s) >= 45.0
    assert max(ages_s) - min(ages_s) > 6.0


class Setup:
    """A target that was polled a few times."""

    def __init__(self, *collectors: EnabledCollector) -> None:
        self.assignment = assignment(*(collectors or (INFO, STATS)))
        self.store = Store(["first", "stats", "keys", "other", "target"])
        self.state = TargetState(self.assignment, self.store)
        self.state.clock.place = 0  # standard is polled at 100, 110, 140, …
        self.state.memory.facts = FACTS
        for began_at in (100.0, 110.0):
            self.poll(began_at)

    def begin(self) -> tuple[Assignment, tuple[Lane, ...], tuple[EnabledCollector, ...]]:
        self.state.clock.tick()
        self.context = self.state.context
        lanes = self.state.clock.due()
        return self.state.assignment, lanes, self.state.assignment.family_sets.on(lanes)

    def end(
        self,
        turn: tuple[Assignment, tuple[Lane, ...], tuple[EnabledCollector, ...]],
        began_at: float,
        error: TargetError | None = None,
    ) -> None:
        poll = Poll(turn[2], self.context, 0.0, 0.0)
        batch = poll.begin()
        while batch:
            batch = poll.receive([1] * len(batch))
        self.state.note_poll(PollOutcome(poll.results, error, began_at, 0.0, 0.5), *turn)
        self.state.publish(began_at + 0.5)

    def poll(self, began_at: float, error: TargetError | None = None) -> Sequence[Lane]:
        turn = self.begin()
        self.end(turn, began_at, error)
        return turn[1]

    def reassign(self, **changes: Any) -> bool:
        return self.state.reassign(replace(self.state.assignment, **changes), 110.5)

    def limit(self) -> None:
        """Let the target have one series, of the two that its collectors write."""
        self.reassign(options=parse(["--max-series-per-target=1"], {}))
        self.state.clock.bring_forward()
        self.poll(120.0)
        assert self.numbers() == 1

    def numbers(self, label: str = "") -> int:
        """How many series of collectors have this label."""
        lines = self.page().splitlines()
        return sum(line.startswith(("redis_first{", "redis_stats{")) and label in line for line in lines)

    def stripped(self) -> str:
        """What a page without the target's labels shows."""
        found = [self.store.get(ADDR, name) for name in self.state.labels.plain]
        return b"".join(
            engine.strip_labels(each.block, self.state.labels.labels_of(each.family_set)).samples
            for each in found
            if each is not None
        ).decode()

    def page(self) -> str:
        names = ("first", "stats", "keys", "other", "target")
        found = [self.store.get(ADDR, name) for name in names]
        return b"".join(snapshot.samples for snapshot in found if snapshot is not None).decode()


@pytest.fixture
def setup() -> Setup:
    return Setup()


class TestSame:
    def test_an_equal_assignment_changes_nothing(self, setup: Setup) -> None:
        before = (setup.state.labels, setup.state.health.status(), dict(setup.state.memory.repeats))
        assert not setup.reassign(options=parse([], {}))
        assert before == (setup.state.labels, setup.state.health.status(), setup.state.memory.repeats)
        assert setup.poll(120.0) == (Lane.FAST,)

    def test_but_asks_again_what_was_refused_in_all_lanes_at_the_next_turn(self, setup: Setup) -> None:
        setup.state.memory.refusals.add("GET", ReplyError("NOPERM no"), 0.0)
        assert not setup.reassign(options=parse([], {}))
        assert not setup.state.memory.refusals.known
        assert setup.poll(120.0) == (Lane.FAST, Lane.STANDARD)
        setup.reassign(options=parse([], {}))
        assert setup.poll(130.0) == (Lane.FAST,)

    @pytest.mark.parametrize(
        ("refused", "is_due"), [("SCAN 0 MATCH a* COUNT 10", True), ("GET", False), ("SCANNER", False)]
    )
    def test_and_scans_again_if_scans_were_refused(self, refused: str, is_due: bool) -> None:
        setup = Setup(INFO, KEYS)
        setup.state.clock.note_scan()
        setup.state.memory.refusals.add(refused, ReplyError("NOPERM no"), 0.0)
        setup.state.ask_again()
        setup.state.clock.tick()
        assert setup.state.clock.scan_due() == is_due

    def test_of_another_address_is_refused(self, setup: Setup) -> None:
        other = replace(TARGET, addr="redis://other:6379")
        with pytest.raises(InternalError, match="redis://other:6379 is assigned in place of redis://h:6379"):
            setup.reassign(target=other)


class TestLogin:
    @pytest.mark.parametrize(
        ("changes", "renews"),
        [
            ({"password": "new"}, True),
            ({"user": "other"}, True),
            ({"alias": "cache"}, False),
            ({"labels": (("env", "x"),)}, False),
        ],
    )
    def test_another_one_is_tried_at_once_on_a_new_connection(
        self, setup: Setup, changes: dict[str, Any], renews: bool
    ) -> None:
        for began_at in (120.0, 130.0):
            setup.poll(began_at, RefusedError("no"))
        retry_at = setup.state.health.retry_at
        assert retry_at > 0
        assert setup.reassign(target=replace(TARGET, **changes)) is renews
        assert setup.state.health.retry_at == (0.0 if renews else retry_at)
        assert setup.state.context.target == setup.state.assignment.target

    def test_the_failure_of_a_poll_with_the_old_one_does_not_delay_the_new_one(self, setup: Setup) -> None:
        setup.poll(120.0, RefusedError("no"))
        turn = setup.begin()
        setup.reassign(target=replace(TARGET, password="new"))
        setup.end(turn, 130.0, RefusedError("no"))
        assert setup.state.health.retry_at == 0.0

    def test_the_new_password_is_shown_nowhere(self, setup: Setup) -> None:
        setup.reassign(target=replace(TARGET, password="s3cret-of-mine"))
        assert setup.state.memory.redaction.clean("no s3cret-of-mine here") == "no *** here"


class TestLabels:
    def test_other_ones_are_on_all_lanes_after_the_next_poll(self, setup: Setup) -> None:
        setup.reassign(target=replace(TARGET, labels=(("env", "x"),)))
        assert setup.numbers('env="x"') == 0
        assert setup.poll(120.0) == (Lane.FAST, Lane.STANDARD)
        assert setup.page().count('env="x"') == len(setup.page().splitlines())

    def test_a_poll_that_began_before_does_not_count_as_one_with_them(self, setup: Setup) -> None:
        setup.state.clock.bring_forward()
        turn = setup.begin()
        assert turn[1] == (Lane.FAST, Lane.STANDARD)
        setup.reassign(target=replace(TARGET, labels=(("env", "x"),)))
        setup.end(turn, 120.0)
        assert setup.poll(130.0) == (Lane.FAST, Lane.STANDARD)

    def test_the_series_about_the_target_have_them_at_once(self, setup: Setup) -> None:
        setup.reassign(target=replace(TARGET, labels=(("env", "x"),)))
        assert 'redis_up{addr="redis://h:6379",env="x"} 1' in setup.page()

    def test_before_the_next_poll_a_page_leaves_off_the_old_ones(self, setup: Setup) -> None:
        setup.reassign(target=replace(TARGET, labels=(("env", "x"),)))
        setup.state.clock.bring_forward()
        setup.poll(120.0)
        setup.reassign(target=replace(TARGET, labels=(("env", "y"), ("zone", "a"))))
        assert setup.numbers('env="x"') == 2
        assert "redis_first 1" in setup.stripped()
        turn = setup.begin()
        setup.reassign(target=replace(TARGET, labels=(("zone", "b"),)))
        setup.end(turn, 130.0)
        assert setup.numbers('env="y",zone="a"') == 2
        for began_at in (140.0, 150.0):
            assert [text in setup.stripped() for text in ("redis_first 1", "env", "zone", "addr")] == [
                True,
                False,
                False,
                False,
            ]
            setup.poll(began_at)
        assert setup.numbers('",zone="b"') == 2
        assert setup.state.labels.former == {}

    def test_with_other_ones_a_series_that_was_in_does_not_hold_the_place_of_the_same(
        self, setup: Setup
    ) -> None:
        setup.limit()
        setup.reassign(target=replace(TARGET, labels=(("env", "x"),)))
        setup.poll(130.0)
        assert setup.numbers('env="x"') == setup.numbers() == 1
        setup.state.clock.bring_forward()
        turn = setup.begin()
        setup.reassign(target=replace(TARGET, labels=(("env", "y"),)))
        setup.end(turn, 140.0)
        setup.poll(150.0)
        assert setup.numbers('env="y"') == setup.numbers() == 1

    def test_a_scan_with_other_ones_is_due_at_the_next_turn(self) -> None:
        setup = Setup(INFO, KEYS)
        setup.state.clock.note_scan()
        setup.state.clock.tick()
        assert not setup.state.clock.scan_due()
        setup.reassign(target=replace(TARGET, labels=(("env", "x"),)))
        setup.state.clock.tick()
        assert setup.state.clock.scan_due()

    def test_the_role_that_is_known_stays(self, setup: Setup) -> None:
        setup.reassign(options=parse(["--append-instance-role-label"], {}))
        assert b'instance_role="master"' in setup.state.context.labels["first"].text


class TestTiming:
    def test_a_slower_one_takes_nothing_down_before_the_next_turn(self, setup: Setup) -> None:
        assert setup.state.health.down_at == 130.0
        setup.reassign(timing=timing(100.0))
        assert setup.state.health.down_at == 310.5
        assert setup.store.expire(300.0) == []

    def test_a_quicker_one_does_not_take_it_down_before_two_turns(self, setup: Setup) -> None:
        setup.state.reassign(replace(setup.state.assignment, timing=timing(2.0)), 119.0)
        assert setup.state.health.down_at == 123.0

    def test_nor_before_a_running_poll_has_ended(self, setup: Setup) -> None:
        setup.state.reassign(replace(setup.state.assignment, timing=timing(2.0)), 119.0, 125.0)
        assert setup.state.health.down_at == 125.0

    def test_snapshots_of_a_replaced_set_last_as_long_as_it_says(self, setup: Setup) -> None:
        replaced = enabled("stats", Lane.STANDARD)
        setup.reassign(timing=timing(100.0), family_sets=FamilySets([INFO, replaced], ABOUT_TARGET))
        snapshot = setup.store.get(ADDR, "stats")
        assert snapshot is not None
        assert snapshot.expires_at == snapshot.began_at + timing(100.0).expiry_s(Lane.STANDARD)

    def test_lanes_keep_their_phase(self, setup: Setup) -> None:
        setup.reassign(timing=timing(20.0))
        assert [setup.poll(120.0 + 20 * number) for number in range(4)] == [
            (Lane.FAST,),
            (Lane.FAST,),
            (Lane.FAST, Lane.STANDARD),
            (Lane.FAST,),
        ]

    def test_another_multiple_counts_from_the_next_turn_on(self, setup: Setup) -> None:
        setup.reassign(timing=timing(standard=1))
        assert setup.poll(120.0) == (Lane.FAST, Lane.STANDARD)
        assert setup.poll(130.0) == (Lane.FAST, Lane.STANDARD)


class TestFamilySets:
    def test_nothing_is_left_of_those_that_are_gone(self, setup: Setup) -> None:
        memory, series = setup.state.memory, setup.state.series
        assert series.series == 2
        series.collectors["stats"] = (False, True)
        setup.state.publish(110.5)
        assert 'collector="stats"' in setup.page()
        setup.reassign(family_sets=FamilySets([INFO], ABOUT_TARGET))
        about = setup.store.get(ADDR, "target")
        assert about is not None
        assert b"stats" not in about.samples
        assert b"standard" not in about.samples
        assert b'\nredis_exporter_target_series{addr="redis://h:6379"} 1\n' in about.samples
        setup.poll(120.0)
        assert series.collectors.keys() == memory.collectors.keys() == memory.repeats.keys() == {"first"}
        assert series.lanes.keys() == {Lane.FAST}
        assert series.series == 1
        assert (
            "standard"
            not in setup.state.series.render(
                ABOUT_TARGET, setup.state.labels.plain["target"]
            ).samples.decode()
        )

    def test_counters_of_those_that_stay_go_on(self, setup: Setup) -> None:
        setup.reassign(family_sets=FamilySets([INFO], ABOUT_TARGET))
        setup.poll(120.0)
        assert setup.state.series.lanes[Lane.FAST].polls == 3
        assert setup.state.memory.facts is FACTS

    def test_new_ones_are_polled_at_the_next_turn(self, setup: Setup) -> None:
        other = enabled("other", Lane.STANDARD)
        setup.reassign(family_sets=FamilySets([INFO, STATS, other], ABOUT_TARGET))
        assert setup.poll(120.0) == (Lane.FAST, Lane.STANDARD)
        assert "redis_other" in setup.page()

    def test_a_poll_that_began_before_stores_what_is_still_assigned(self, setup: Setup) -> None:
        setup.state.clock.bring_forward()
        turn = setup.begin()
        setup.store.drop(ADDR)
        setup.reassign(family_sets=FamilySets([INFO], ABOUT_TARGET))
        setup.end(turn, 120.0)
        assert "redis_first" in setup.page()
        assert "redis_stats" not in setup.page()
        assert setup.state.series.lanes.keys() == {Lane.FAST}
        memory = setup.state.memory
        assert memory.collectors.keys() == {"first"}
        assert memory.repeats == {}

    def test_one_that_is_replaced_begins_again(self, setup: Setup) -> None:
        setup.state.memory.named["stats"] = 5
        replaced = enabled("stats", Lane.STANDARD)
        setup.reassign(family_sets=FamilySets([INFO, replaced], ABOUT_TARGET))
        assert "stats" not in setup.state.memory.named
        assert setup.state.memory.repeats == {}

    def test_other_options_are_used_from_the_next_poll_on(self, setup: Setup) -> None:
        options = parse(["--max-series-per-target=1"], {})
        setup.reassign(options=options)
        assert setup.state.context.options is options
        setup.poll(120.0)
        assert (setup.state.series.series, setup.state.series.refused) == (1, 1)
