"""What a target's polls remember."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter import engine
from exporter.collectors._contract import Collector
from exporter.errors import ReplyError
from exporter.polling.memory import PASSWORDS_MAX, LastReply, TargetMemory
from exporter.polling.refusals import FIRST_REPROBE_S, REPROBE_S
from exporter.protocol.facts import Facts
from exporter.targets.address import parse_address


def facts(run_id: str) -> Facts:
    return Facts((7, 0, 15), "redis", "master", "standalone", run_id, cluster_enabled=False, loading=False)


def refused(memory: TargetMemory, now: float = 0.0) -> bool:
    return memory.refusals.find(["SLOWLOG LEN"], now) is not None


@pytest.fixture
def memory() -> TargetMemory:
    memory = TargetMemory()
    memory.learn(facts("a"))
    memory.refusals.add("SLOWLOG LEN", ReplyError("ERR no"), 0.0)
    return memory


def test_former_passwords_of_a_target_are_hidden_as_well() -> None:
    """A server may repeat one that it was sent before."""
    memory = TargetMemory()
    target = parse_address("redis://watcher:@h")
    for number in range(PASSWORDS_MAX + 1):
        memory.note_password(replace(target, password=f"password-{number:02}"))
    memory.note_password(replace(target, password="password-01"))
    shown = [memory.redaction.clean(f"password-{number:02}") for number in range(PASSWORDS_MAX + 1)]
    assert shown == ["password-00", *["***"] * PASSWORDS_MAX]


def test_a_last_reply_holds_for_the_same_facts_and_refusals_until_one_is_sent_again() -> None:
    known, labels = facts("a"), engine.Labels(b"")
    block = engine.Writer([], labels).block()
    last = LastReply(known, labels, (), (), block, 0, (), 3, until=9.0)
    assert last.holds(known, 3, 8.0)
    assert not last.holds(known, 3, 9.0)
    assert not last.holds(known, 4, 8.0)
    assert not last.holds(facts("a"), 3, 8.0)


class TestRefusals:
    """They hold for one run of the server."""

    def test_are_forgotten_in_another_run_behind_a_new_connection(self, memory: TargetMemory) -> None:
        memory.is_new_connection = True
        memory.learn(facts("b"))
        assert not refused(memory)

    def test_are_kept_on_a_new_connection_to_the_same_run(self, memory: TargetMemory) -> None:
        memory.is_new_connection = True
        memory.learn(facts("a"))
        assert refused(memory)

    def test_are_kept_where_a_proxy_names_another_run_on_the_same_connection(
        self, memory: TargetMemory
    ) -> None:
        for run_id in ("b", "a", "c"):
            memory.learn(facts(run_id))
        assert refused(memory)

    @pytest.mark.parametrize(("run_id", "after_ten_minutes"), [("", False), ("a", True)])
    def test_a_server_without_runs_may_be_another_one_after_a_failure(
        self, run_id: str, after_ten_minutes: bool
    ) -> None:
        memory = TargetMemory()
        memory.learn(facts(run_id))
        for now in (-REPROBE_S, 0.0):
            memory.refusals.add("SLOWLOG LEN", ReplyError("ERR no"), now)
        memory.note_failure()
        assert refused(memory, FIRST_REPROBE_S - 1)
        assert refused(memory, FIRST_REPROBE_S) is after_ten_minutes


class TestRuns:
    """One connection leads to one run of a server, whatever a proxy says: what is remembered of a run, the
    collectors' memories too, lasts as long."""

    def test_the_facts_keep_the_first_that_a_connection_names(self, memory: TargetMemory) -> None:
        assert [memory.learn(facts(run_id)).run_id for run_id in ("b", "c", "a")] == ["a", "a", "a"]
        memory.is_new_connection = True
        assert [memory.learn(facts(run_id)).run_id for run_id in ("b", "c")] == ["b", "b"]

    def test_another_run_alone_is_no_change_of_the_facts(self, memory: TargetMemory) -> None:
        before = memory.facts
        assert memory.learn(facts("b")) is before is memory.facts

    @pytest.mark.parametrize(("is_new", "databases"), [(False, 32), (True, None)])
    def test_another_run_may_have_another_number_of_databases(
        self, is_new: bool, databases: int | None
    ) -> None:
        memory = TargetMemory()
        memory.learn(replace(facts("a"), databases=32))
        memory.is_new_connection = is_new
        assert memory.learn(replace(facts("b"), databases=32)).databases == databases


def test_collectors_of_one_memory_name_share_it() -> None:
    class Finder(Collector[set[bytes]]):
        name = "finder"
        memory_name = "keys"

        def new_memory(self) -> set[bytes]:
            return set()

    class Looker(Finder):
        name = "looker"

    memory = TargetMemory()
    assert memory.of(Finder()) is memory.of(Looker())
