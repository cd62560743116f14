"""A poll by a program: it sends what an earlier poll sent, and reads the replies without asking the
collectors.

It decides nothing. Where anything is in doubt (an error reply, a reply of another kind, a fact that has
changed, a limit), it leaves everything as it was, and `Poll` takes the same replies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from exporter import engine
from exporter.collectors._enabled import EnabledCollector
from exporter.connection import command_log
from exporter.connection.backlog import WAITING_BYTES
from exporter.connection.replies import RawReplies
from exporter.polling.bounds import ReplyBounds
from exporter.polling.deadlines import Timed
from exporter.polling.output import CollectorOutput
from exporter.polling.poll import Poll
from exporter.polling.poll_context import PollContext
from exporter.polling.program import Program, ProgramRow, shared_program
from exporter.polling.results import PollResults
from exporter.protocol.command import Command

log = logging.getLogger(__name__)

TEXT, LIST, MINUS = b"$"[0], b"*"[0], b"-"[0]

#: nobody adds to it, and each poll would make a new one
_NONE: dict[str, Any] = {}


def program_for(collectors: Sequence[EnabledCollector], context: PollContext, now: float) -> Program | None:
    """The program of a poll of these collectors that begins at the monotonic moment `now`; None: it has to be
    an ordinary one."""
    memory, refusals = context.memory, context.memory.refusals
    program = memory.programs.find(collectors, context, memory.facts, refusals.version, now)
    # only behind a new connection can another run of the server be
    is_in_doubt = program is None or memory.is_new_connection or not refusals.is_settled
    return None if is_in_doubt or command_log.is_on() else program


def read(program: Program, raw: RawReplies, context: PollContext, poll: Timed) -> PollResults | None:
    """What `Poll.results` would be; None: something is in doubt."""
    spent_s = time.monotonic() - poll.began_at
    if raw.received >= WAITING_BYTES or len(raw.ends) != len(program.commands):
        return None
    try:
        blocks = _repeated(program, raw, context)
        if blocks is None or not _read_again(program, raw, context, poll.wall_at, spent_s, blocks):
            return None
    except Exception:  # the ordinary poll takes the same replies, and shows what is wrong
        log.debug("a program does not read its replies", exc_info=True)
        return None
    context.memory.refusals.note_none(program.commands, poll.began_at)
    return PollResults(
        context.memory.redaction,
        blocks,
        _NONE,
        _NONE,
        _NONE,
        program.asked,
        _NONE,
        program.unsupported,
        raw.received,
        spent_s,
    )


def _repeated(program: Program, raw: RawReplies, context: PollContext) -> dict[str, engine.Block] | None:
    """The blocks of those whose replies are the same as before, by name; None: others have come."""
    data, ends, last_replies = raw.data, raw.ends, context.memory.repeats
    blocks: dict[str, engine.Block] = {}
    for row in program.repeating:
        name = row.enabled.name
        last = last_replies.get(name)
        if last is None:
            return None
        # a reply says where it ends, so those that begin with all of these bytes are these
        if row.places and not (last.raw and data.startswith(last.raw, _begin(ends, row.places[0]))):
            return None
        blocks[name] = last.block
    return blocks


def _read_again(
    program: Program,
    raw: RawReplies,
    context: PollContext,
    now: float,
    spent_s: float,
    blocks: dict[str, engine.Block],
) -> bool:
    """Add the blocks of those that read their replies again. False: one of them is in doubt."""
    facts, bounds = context.memory.facts, context.bounds
    for row in program.reading:
        enabled = row.enabled
        replies = _replies(row, program.commands, raw, bounds)
        if replies is None or facts is None:
            return False
        labels = context.labels[enabled.name]
        output = CollectorOutput(enabled, labels, context.memory, now, context.target.db, bounds.rows_max)
        output.spent_s = spent_s
        reads = enabled.collector.read_again(facts, context.options, output, replies)
        if not reads or output.cut or output.faults:
            return False
        blocks[enabled.name] = output.block()
    return True


def leave_program(
    poll: Poll, raw: RawReplies | None, context: PollContext, collectors: Sequence[EnabledCollector]
) -> None:
    """After a poll that went well, let the next one of these collectors be a steady one. After another one
    forget the programs that they are in."""
    try:
        _leave_program(poll, raw, context, tuple(collectors))
    except Exception:  # the next poll is an ordinary one, and this one must end
        log.exception("internal error behind a poll (please report)")
        context.memory.programs.drop(collectors)


def _leave_program(
    poll: Poll, raw: RawReplies | None, context: PollContext, due: tuple[EnabledCollector, ...]
) -> None:
    memory = context.memory
    if raw is None or not _is_clean(poll, raw, context):
        memory.programs.drop(due)
        return
    rows = _rows(poll, raw, context, due)
    if rows is None:
        return
    for row in rows:
        if row.repeats and row.places:
            name = row.enabled.name
            replies = raw.data[_begin(raw.ends, row.places[0]) : raw.ends[row.places[-1]]]
            if memory.repeats[name].raw != replies:
                memory.repeats[name] = replace(memory.repeats[name], raw=replies)
    asked = poll.asked
    if asked.is_first:
        return  # the next one goes on with what is asked over a connection that is known
    program = shared_program(tuple(asked.commands), rows)
    memory.programs.put(due, context, memory.facts, asked.version, program, asked.until)


def _is_clean(poll: Poll, raw: RawReplies, context: PollContext) -> bool:
    """Whether nothing about a poll had to be decided."""
    results, memory = poll.results, context.memory
    return (
        poll.asked.batches == 1
        and poll.asked.facts is memory.facts
        and raw.whole
        and poll.asked.version == memory.refusals.version
        and memory.refusals.is_settled
        and not memory.is_new_connection
        and not (results.failures or results.faults or results.cuts)
    )


def _rows(
    poll: Poll, raw: RawReplies, context: PollContext, due: tuple[EnabledCollector, ...]
) -> tuple[ProgramRow, ...] | None:
    """None: not all collectors can do without being asked."""
    memory = context.memory
    facts = memory.facts
    if facts is None:
        return None
    rows = []
    for enabled in memory.wanted_of(due, facts, context.options):
        name, share = enabled.name, poll.asked.shares.get(enabled.name)
        if share is None or name not in poll.results.blocks:
            return None
        places = tuple(share.places)
        kinds = bytes(raw.data[_begin(raw.ends, place)] for place in places)
        last = memory.repeats.get(name)
        if last is not None:
            if (
                not _are_in_a_row(places)
                or last.facts is not facts
                or last.labels is not context.labels[name]
            ):
                return None
            if last.version != poll.asked.version:
                return None
        elif not enabled.collector.reads_again or any(kind not in (TEXT, LIST) for kind in kinds):
            return None
        sent = tuple(share.sent) if last is None else ()
        refused = tuple(place for place, _ in share.refusals)
        is_refused = name in poll.results.unsupported
        rows.append(ProgramRow(enabled, places, kinds, sent, last is not None, refused, is_refused))
    return tuple(rows)


def _are_in_a_row(places: Sequence[int]) -> bool:
    return not places or list(places) == list(range(places[0], places[0] + len(places)))


def _begin(ends: Sequence[int], place: int) -> int:
    return ends[place - 1] if place else 0


def _replies(
    row: ProgramRow, commands: Sequence[Command], raw: RawReplies, bounds: ReplyBounds
) -> list[bytes | None] | None:
    """Those of one row. None: one is of another kind than before, or no longer within the bounds."""
    data, ends = raw.data, raw.ends
    replies: list[bytes | None] = []
    for place, kind in zip(row.places, row.kinds, strict=True):
        begin, end = _begin(ends, place), ends[place]
        if data[begin] != kind or data[begin + 1] == MINUS:
            return None
        head = data.index(b"\n", begin) + 1
        if kind == LIST:
            if int(data[begin + 1 : head]) > bounds.least:
                return None
            replies.append(data[begin:end])
            continue
        text = data[head : end - 2]
        if len(text) > bounds.least and bounds.within(commands[place].name, text)[0] is not text:
            return None
        replies.append(text)
    for place in row.refused:
        replies.insert(place, None)
    return replies
