"""What a target's polls remember."""

from __future__ import annotations

from exporter.collectors._contract import Collector
from exporter.errors import ReplyError
from exporter.polling.memory import REFUSED_MAX, TargetMemory


def test_the_newest_refusals_are_remembered_up_to_a_limit() -> None:
    memory, refusal = TargetMemory(), ReplyError("NOPERM no")
    for number in range(REFUSED_MAX + 5):
        memory.refuse(f"TYPE k{number}", refusal, 0.0)
    assert len(memory.refused) == REFUSED_MAX
    assert memory.refusal("TYPE k4", 0.0) is None
    assert memory.refusal("TYPE k5", 0.0) is refusal


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
