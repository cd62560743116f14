"""Numbers of INFO that have no metric of their own, as they stand: fields of newer servers, and sub-fields of
their records."""

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

#: the number of a field; the name of its record and its value
Found = tuple[str, dict[str, str], bytes]

#: sub-fields that follow from others
_DERIVED = frozenset({b"usec_per_call"})
_NUMBER = re.compile(rb"-?[0-9]{1,18}(\.[0-9]{1,18})?\Z")
#: of several masters (KeyDB) each has its fields once more, with a number
_MASTER = re.compile(rb"master_?[0-9]+_.")
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
        patterns: dict[Pattern, set[str]] = {}  # with the sub-fields that families read; "": all
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
                        subs = {*record.sub.split("|"), *(sub for _, sub in record.labels if sub)}
                        patterns.setdefault(record.pattern, set()).update(subs)
                    case EverySubField() as record:
                        patterns.setdefault(record.pattern, set()).add("")
        self._keys = frozenset(key.encode() for key in keys)
        #: the shape of a key; what its numbers are named after; the sub-fields that are known
        self._records = [
            (
                re.compile(
                    f"{re.escape(p.prefix)}{'[0-9]+' if p.digits else '.+'}{re.escape(p.suffix)}".encode()
                ),
                p.prefix.rstrip("_") + p.suffix,
                _DERIVED | {sub.encode() for sub in patterns[p]},
            )
            for p in sorted(patterns, key=lambda pattern: (pattern.prefix, pattern.suffix))
        ]

    def enabled(self, options: Options) -> bool:
        return options.metrics.export_unknown_info

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        replies = yield [Command.of("INFO"), Command.of("INFO", "commandstats")]
        if isinstance(replies[0], ReplyError):
            raise replies[0].as_target_error()
        text = b"\n".join(reply for reply in replies if isinstance(reply, bytes))
        seen = set()
        for at, line in enumerate(text.split(b"\n"), 1):
            if at % PIECE == 0:
                yield PAUSE
            for name, labels, value in self._unknown(line.strip()):
                if (name, *labels.values()) not in seen:
                    seen.add((name, *labels.values()))
                    number = float(value) if b"." in value else int(value)
                    out.add_runtime(
                        f"info_{_ODD.sub('_', name)}", "untyped", SUB_HELP if labels else HELP, number, labels
                    )
        out.add(FIELDS, len(seen))

    def _unknown(self, line: bytes) -> Iterator[Found]:
        """The numbers of a line that have no metric."""
        key, colon, value = line.partition(b":")
        if not colon or key.startswith(b"#") or key in self._keys or _MASTER.match(key):
            return
        for shape, name, known in self._records:
            if shape.fullmatch(key):
                of = {"record": key.decode("utf-8", "replace")}
                for part in value.split(b",", SUBS_MAX)[:SUBS_MAX] if b"" not in known else ():
                    sub, _, text = map(bytes.strip, part.partition(b"="))
                    if sub not in known and _NUMBER.match(text):
                        yield f"{name}_{sub.decode('utf-8', 'replace')}", of, text
                return
        if _NUMBER.match(value.strip()):
            yield key.decode("utf-8", "replace"), {}, value.strip()
