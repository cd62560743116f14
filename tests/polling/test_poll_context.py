"""What the polls of one target have in common."""

from __future__ import annotations

from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from tests.poll_fixture import poll_context


def test_unless_it_is_said_nothing_depends_on_the_facts_and_replies_have_the_usual_bounds() -> None:
    context = poll_context(TargetMemory(), {}, parse([], {}), db=3)
    facts = Facts((7, 0, 15), "redis", "master", "standalone", "a", cluster_enabled=False, loading=False)
    assert not context.on_facts(facts)
    assert context.bounds.rows_max == 10_000
    assert context.target.db == 3
