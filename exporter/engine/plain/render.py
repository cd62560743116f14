"""The second pass: samples of the values that a scan found, family by family."""

from __future__ import annotations

from exporter.engine.plain.labels import Block, Labels, escape
from exporter.engine.plain.numbers import convert, sub_label
from exporter.engine.plain.plan import FIELD, RECORD, CompiledPlan, Row
from exporter.engine.plain.samples import BlockWriter
from exporter.engine.plain.scan import Reading, sub_fields

FILL_MAX = 65536
#: sub-fields of one line that a family of every sub-field looks at; more are dropped and counted
SUB_FIELDS_MAX = 256
#: the same of all lines of one reading: a line after those is dropped and counted
SUB_FIELDS_READ_MAX = 16384


def render(plan: CompiledPlan, reading: Reading, labels: Labels, now: float, fill: int) -> Block:
    page = BlockWriter(labels, plan.families)
    for number, row in enumerate(plan.rows):
        page.begin(number, row[0])
        if len(row) == 2:
            continue
        if row[1] == FIELD:
            _write_field(plan, reading, page, row, now)
        elif row[1] == RECORD:
            _write_record(plan, reading, page, row, now, min(fill, FILL_MAX))
        else:
            _write_every(plan, reading, page, row, now)
    return page.block(tuple(reading.wanted(key) for key in plan.wanted))


def _write_field(plan: CompiledPlan, reading: Reading, page: BlockWriter, row: Row, now: float) -> None:
    _, _, keys, transform, labels = row
    groups = reading.groups if any(key in plan.grouped for key in keys) else [0]
    for group in groups:
        for key in keys:
            if (group, key) in reading.fields:
                own = []
                for label, label_keys, optional in labels:
                    value = _label(plan, reading, group, label_keys)
                    if not optional or (value and not (optional == 2 and key == keys[0])):
                        own.append(b'%s="%s"' % (label, escape(value or b"", plan.label_max)))
                page.add(convert(reading.fields[group, key], transform, now), own)
                break


def _label(plan: CompiledPlan, reading: Reading, group: int, keys: bytes) -> bytes | None:
    for key in keys.split(b"|"):
        value = reading.fields.get((group if key in plan.grouped else 0, key))
        if value is not None:
            return value
    return None


def _write_record(
    plan: CompiledPlan, reading: Reading, page: BlockWriter, row: Row, now: float, fill: int
) -> None:
    _, _, number, sub, transform, labels, filled = row
    pattern = plan.patterns[number]
    seen = set()
    for line in reading.lines[number]:
        seen.add(line.number)
        texts = (line.subs[each] for each in sub.split(b"|") if each in line.subs)
        text = next(texts, None) if sub else line.value
        if text is None:
            continue
        own = pattern.labels(line.name)
        for label, key in labels:
            value = line.subs.get(key, b"") if key else line.value
            own.append(b'%s="%s"' % (label, escape(value, plan.label_max)))
        page.add(convert(text, transform, now), own)
    if filled:
        for index in range(fill):
            if index not in seen:
                key = b"%d" % index
                page.add(
                    b"0", pattern.labels(pattern.prefix + key + pattern.suffix if pattern.whole else key)
                )


def _write_every(plan: CompiledPlan, reading: Reading, page: BlockWriter, row: Row, now: float) -> None:
    _, _, number, label, sub_kind, transform, total, count, only = row
    pattern = plan.patterns[number]
    looked_at = 0
    for line in reading.lines[number]:
        if looked_at >= SUB_FIELDS_READ_MAX:
            page.invalid += 1
            continue
        own = pattern.labels(line.name)
        seen = set()
        for index, (sub, text) in enumerate(sub_fields(line.value)):
            looked_at += 1
            value = sub_label(sub, sub_kind, plan.label_max) if index < SUB_FIELDS_MAX else None
            if value is None:
                page.invalid += 1
            elif value not in seen and (sub in only or not only):
                seen.add(value)
                page.add(convert(text, transform, now), [*own, b'%s="%s"' % (label, value)])
        for suffix, join in ((b"_sum", total), (b"_count", count)):
            joined = join and reading.find(join[0], line.name)
            if joined and join[1] in joined.subs:
                page.add(convert(joined.subs[join[1]], join[2], now), own, suffix)
