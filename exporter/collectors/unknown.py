"""Numbers of INFO that have no metric of their own, as they stand: fields of newer servers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from exporter.collectors._contract import AnyCollector, Batches, Collector, Out
from exporter.errors import ReplyError
from exporter.metrics.family import EverySubField, Field, Pattern, Record, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command
from exporter.protocol.facts import Facts

FIELDS = gauge("exporter_unknown_info_fields", "Numeric fields of INFO that have no metric of their own.")
HELP = "A field of INFO as the server sends it."
SUB_HELP = "A sub-field of records of INFO as the server sends it."
#: sub-fields of one record that are looked at
SUBS_MAX = 64

_NUMBER = re.compile(rb"-?[0-9]{1,18}(\.[0-9]{1,18})?\Z")
_ODD = re.compile(r"[^a-zA-Z0-9_]")


class UnknownInfoCollector(Collector[None]):
    """`known` are the collectors whose families name what is known."""

    name = "unknown"
    help = "Fields of INFO that have no metric of their own."
    lane = Lane.SLOW
    families = (FIELDS,)
    has_runtime_families = True

    def __init__(self, known: Iterable[AnyCollector]) -> None:
        keys: set[str] = set()
        patterns: dict[Pattern, set[bytes] | None] = {}  # and their known sub-fields; None: every one
        for collector in known:
            keys.update(collector.wanted_fields)
            for family in collector.families:
                match family.source:
                    case Field() as field:
                        keys.update((field.key, *field.also))
                        keys.update(
                            key for _, alternatives in field.labels for key in alternatives.split("|")
                        )
                    case Record() as record:
                        subs = patterns.setdefault(record.pattern, set())
                        if subs is not None:
                            names = (*record.sub.split("|"), *(sub for _, sub in record.labels))
                            subs.update(name.encode() for name in names)
                    case EverySubField() as every:
                        patterns[every.pattern] = None
        self._keys = frozenset(key.encode() for key in keys)
        forms = sorted(
            f"{re.escape(each.prefix)}{'[0-9]+' if each.digits else '.+'}{re.escape(each.suffix)}"
            for each in patterns
        )
        #: form of a record's key, what its sub-fields are named by, and those that have a metric
        self._records = [
            (re.compile(re.escape(each.prefix).encode() + rb"[0-9]+"), each.prefix.strip("_"), subs)
            for each, subs in patterns.items()
            if each.digits and not each.suffix and subs is not None
        ]
        # of several masters (KeyDB) each has its fields once more, with a number
        self._known = re.compile("|".join([*forms, r"master_[0-9]+_.+"]).encode())

    def enabled(self, options: Options) -> bool:
        return options.metrics.export_unknown_info

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [text] = yield [Command.of("INFO")]
        if isinstance(text, ReplyError):
            raise text.as_target_error()
        found = 0
        for at, line in enumerate(text.split(b"\n") if isinstance(text, bytes) else (), 1):
            if at % PIECE == 0:
                yield PAUSE
            key, colon, value = line.removesuffix(b"\r").partition(b":")
            for name, number in self._unknown_subs(key, value):
                found += 1
                record = key.decode("utf-8", "replace")
                out.add_runtime(f"info_{name}", "untyped", SUB_HELP, _as_number(number), {"record": record})
            if colon and _NUMBER.match(value) and not line.startswith(b"#") and not self._is_known(key):
                found += 1
                name = _ODD.sub("_", key.decode("utf-8", "replace"))
                out.add_runtime(f"info_{name}", "untyped", HELP, _as_number(value), {})
        out.add(FIELDS, found)

    def _unknown_subs(self, key: bytes, value: bytes) -> Iterator[tuple[str, bytes]]:
        """Name and number of each sub-field that a numbered record has and no metric shows, such as
        `db0:keys=1,new=7`. The first of a name counts."""
        for form, name, known in self._records if b"=" in value else ():
            if form.fullmatch(key):
                parts = (part.partition(b"=") for part in value.split(b",", SUBS_MAX)[:SUBS_MAX])
                for sub, number in {sub: number for sub, _, number in reversed(list(parts))}.items():
                    if sub not in known and _NUMBER.match(number):
                        yield f"{name}_{_ODD.sub('_', sub.decode('utf-8', 'replace'))}", number

    def _is_known(self, key: bytes) -> bool:
        return key in self._keys or self._known.fullmatch(key) is not None


def _as_number(text: bytes) -> float:
    return float(text) if b"." in text else int(text)
