"""Targets that ask the same share a program, and it holds as long as nothing changes."""

from __future__ import annotations

import gc
from dataclasses import replace

from exporter.collectors._enabled import enable
from exporter.collectors.info import InfoCollector
from exporter.collectors.slowlog import SlowlogCollector
from exporter.collectors.stats import StatsCollector
from exporter.polling.program import Program, ProgramRow, Programs, _shared, shared_program
from exporter.protocol.command import Command, pack
from tests.collectors.conftest import FACTS

INFO, SLOWLOG, STATS = (
    enable(each, "redis") for each in (InfoCollector(), SlowlogCollector(), StatsCollector())
)
COMMANDS = (Command.of("INFO"), Command.of("SLOWLOG", "LEN"))
ROWS = (
    ProgramRow(INFO, (0,), b"$", COMMANDS[:1], False),
    ProgramRow(SLOWLOG, (1,), b":", (), True),
    ProgramRow(STATS, (), b"", (), False, (0,), True),
)


def made() -> Program:
    return shared_program(COMMANDS, ROWS)


def test_a_program_is_what_is_sent_and_who_reads_what() -> None:
    program = made()
    assert program.request == pack(COMMANDS)
    assert program.reading == (ROWS[0], ROWS[2])
    assert program.repeating == (ROWS[1],)
    assert program.asked == {"info": COMMANDS[:1], "stats": ()}
    assert program.unsupported == {"stats"}


def test_targets_that_ask_the_same_share_it_while_they_use_it() -> None:
    program = made()
    assert made() is program
    assert shared_program(COMMANDS[:1], ROWS[:1]) is not program
    del program
    gc.collect()
    assert (COMMANDS, ROWS) not in _shared


CONTEXT = object()
NOW = 1000.0


def test_it_holds_for_one_context_and_the_same_facts() -> None:
    programs, program = Programs(), made()
    assert programs.find((INFO,), CONTEXT, FACTS, 0, NOW) is None
    programs.put((INFO,), CONTEXT, FACTS, 0, program)
    assert programs.find((INFO,), CONTEXT, FACTS, 0, NOW) is program
    assert programs.find((INFO, SLOWLOG), CONTEXT, FACTS, 0, NOW) is None
    assert programs.find((INFO,), object(), FACTS, 0, NOW) is None
    assert programs.find((INFO,), CONTEXT, replace(FACTS, role="slave"), 0, NOW) is None


def test_it_holds_for_what_was_refused_until_that_is_sent_again() -> None:
    programs, program = Programs(), made()
    programs.put((INFO,), CONTEXT, FACTS, 3, program, NOW + 5.0)
    programs.put((SLOWLOG,), CONTEXT, FACTS, 3, program)
    assert programs.find((INFO,), CONTEXT, FACTS, 3, NOW) is program
    assert programs.find((INFO,), CONTEXT, FACTS, 4, NOW) is None
    assert programs.find((INFO,), CONTEXT, FACTS, 3, NOW + 5.0) is None
    assert programs.find((SLOWLOG,), CONTEXT, FACTS, 3, NOW + 5.0) is program
    programs.put((INFO,), CONTEXT, FACTS, 3, program)
    assert programs.find((INFO,), CONTEXT, FACTS, 3, NOW + 5.0) is program


def test_programs_of_another_version_of_the_refusals_are_not_kept() -> None:
    programs, program = Programs(), made()
    programs.put((INFO,), CONTEXT, FACTS, 3, program, NOW)
    programs.put((SLOWLOG,), CONTEXT, FACTS, 4, program)
    assert programs.find((INFO,), CONTEXT, FACTS, 4, NOW - 1.0) is None
    assert programs.find((SLOWLOG,), CONTEXT, FACTS, 4, NOW) is program


def test_programs_of_other_facts_are_not_kept() -> None:
    programs, program, others = Programs(), made(), replace(FACTS, role="slave")
    programs.put((INFO,), CONTEXT, FACTS, 0, program)
    programs.put((INFO, SLOWLOG), CONTEXT, others, 0, program)
    assert programs.find((INFO,), CONTEXT, others, 0, NOW) is None
    assert programs.find((INFO, SLOWLOG), CONTEXT, others, 0, NOW) is program


def test_an_ordinary_poll_ends_the_programs_of_its_collectors() -> None:
    programs, program = Programs(), made()
    programs.put((INFO,), CONTEXT, FACTS, 0, program)
    programs.put((INFO, SLOWLOG), CONTEXT, FACTS, 0, program)
    programs.drop((STATS,))
    assert programs.find((INFO,), CONTEXT, FACTS, 0, NOW) is program
    programs.drop((SLOWLOG, STATS))
    assert programs.find((INFO, SLOWLOG), CONTEXT, FACTS, 0, NOW) is None
    assert programs.find((INFO,), CONTEXT, FACTS, 0, NOW) is program
    programs.clear()
    assert programs.find((INFO,), CONTEXT, FACTS, 0, NOW) is None
