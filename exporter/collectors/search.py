"""The indexes of RediSearch or valkey-search, on demand: FT.INFO of each whose name fits.

A field that an index does not have is 0, as in the Go exporter: valkey-search lacks most.
https://redis.io/docs/latest/commands/ft.info/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from exporter.collectors._answered import Answered
from exporter.collectors._contract import Batches, Collector, OutWithMemory
from exporter.collectors._key_trials import refuses_command
from exporter.errors import ReplyError
from exporter.metrics.family import Family, NameSet, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, About, Command, Reply
from exporter.protocol.facts import Facts

FT_INFO = "FT.INFO"
BYTES_PER_MB = 1 << 20

index_gauge = partial(gauge, labels=("index_name",), name_set=NameSet.GO)
index_counter = partial(counter, labels=("index_name",), name_set=NameSet.GO)

#: field of FT.INFO → family
FIELDS = {
    b"num_docs": index_gauge("search_index_num_docs", "Documents of the index."),
    b"max_doc_id": index_gauge("search_index_max_doc_id", "Highest id of a document of the index."),
    b"num_terms": index_gauge("search_index_num_terms", "Distinct terms of the index."),
    b"num_records": index_gauge("search_index_num_records", "Records of the index: terms by document."),
    b"inverted_sz_mb": index_gauge("search_index_inverted_size_bytes", "Memory of the inverted index."),
    b"total_inverted_index_blocks": index_gauge(
        "search_index_total_inverted_index_blocks", "Blocks of all inverted indexes."
    ),
    b"vector_index_sz_mb": index_gauge(
        "search_index_vector_index_size_bytes", "Memory of the index's vectors."
    ),
    b"offset_vectors_sz_mb": index_gauge(
        "search_index_offset_vectors_size_bytes", "Memory of the places of terms in documents."
    ),
    b"doc_table_size_mb": index_gauge(
        "search_index_doc_table_size_bytes", "Memory of the index's table of documents."
    ),
    b"sortable_values_size_mb": index_gauge(
        "search_index_sortable_values_size_bytes", "Memory of the values to sort by."
    ),
    b"key_table_size_mb": index_gauge(
        "search_index_key_table_size_bytes", "Memory of the index's table of keys."
    ),
    b"tag_overhead_sz_mb": index_gauge(
        "search_index_tag_overhead_size_bytes", "Overhead of the index's tags."
    ),
    b"text_overhead_sz_mb": index_gauge(
        "search_index_text_overhead_size_bytes", "Overhead of the index's texts."
    ),
    b"total_index_memory_sz_mb": index_gauge(
        "search_index_total_index_memory_size_bytes", "Memory of the whole index."
    ),
    b"geoshapes_sz_mb": index_gauge("search_index_geoshapes_size_bytes", "Memory of the index's shapes."),
    b"records_per_doc_avg": index_gauge(
        "search_index_avg_per_doc_records", "Records of a document on average."
    ),
    b"bytes_per_record_avg": index_gauge(
        "search_index_avg_per_record_bytes", "Bytes of a record on average."
    ),
    b"offsets_per_term_avg": index_gauge(
        "search_index_avg_per_term_offsets", "Places of a term in documents on average."
    ),
    b"offset_bits_per_record_avg": index_gauge(
        "search_index_avg_per_record_offset_bits", "Bits of a record's places on average."
    ),
    b"indexing": index_gauge("search_index_indexing", "1 while the index is being built."),
    b"percent_indexed": index_gauge(
        "search_index_percent_indexed", "How much of the index is built, from 0 to 1."
    ),
    b"hash_indexing_failures": index_gauge(
        "search_index_hash_indexing_failures", "Documents that this index could not take."
    ),
    b"number_of_uses": index_counter("search_index_number_of_uses_total", "Times the index was used."),
    b"cleaning": index_gauge("search_index_cleaning", "1 while the index is being cleaned."),
}

_NUMBER = re.compile(rb"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\Z")

#: indexes that are asked about in one poll; each has some 25 series
INDEXES_MAX = 1000


class SearchCollector(Collector[Answered]):
    name = "search"
    help = "Search indexes."
    lane = Lane.SLOW
    acl_where = "servers with a search module"
    families = tuple(FIELDS.values())

    def enabled(self, options: Options) -> bool:
        return options.metrics.include_search_indexes_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.version >= (4, 0, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+ft._list", "+ft.info")

    def new_memory(self) -> Answered:
        return Answered()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[Answered]) -> Batches:
        [reply] = yield [Command.of("FT._LIST")]
        if isinstance(reply, ReplyError):
            if reply.is_refusal:
                return
            raise reply.as_target_error()
        fits = options.metrics.check_search_indexes.fits
        names = []
        for at, name in enumerate(reply if isinstance(reply, list) else (), 1):
            if isinstance(name, bytes) and fits(name.decode("utf-8", "replace")):
                names.append(name)
            if at % PIECE == 0:
                yield PAUSE
        if not names:
            return
        out.cut += max(0, len(names) - INDEXES_MAX)
        del names[INDEXES_MAX:]
        out.memory.begin(facts.run_id)
        replies: list[Reply] = []
        if FT_INFO not in out.memory.words:  # one index shows whether the server takes the command
            replies = yield [Command.of(FT_INFO, names[0], about=About.TRIAL)]
            if refuses_command(replies[0], FT_INFO):
                return
        commands: list[Command] = []
        for name in names[len(replies) :]:
            commands.append(Command.of(FT_INFO, name, about=About.DATA))  # an index may be gone by now
            if len(commands) % PIECE == 0:
                yield PAUSE
        if commands:
            replies += yield commands
        errors = [reply for reply in replies if isinstance(reply, ReplyError)]
        if len(errors) == len(names):
            raise errors[0].as_target_error()
        out.memory.words.add(FT_INFO)
        for at, (name, reply) in enumerate(zip(names, replies, strict=True), 1):
            if at % 10 == 0:  # each has some 25 numbers
                yield PAUSE
            for family, value in samples(reply):
                out.add(family, value, name)


def samples(reply: Reply) -> Iterator[tuple[Family, float]]:
    """The samples of a reply to FT.INFO, a list of names and values in turn. A value that is not a number is
    left out."""
    if not isinstance(reply, list):
        return
    fields: dict[bytes, object] = {}
    for name, value in zip(reply[::2], reply[1::2], strict=False):
        if isinstance(name, bytes):
            fields.setdefault(name, value)
    for name, family in FIELDS.items():
        number = _number(fields.get(name, 0))
        if number is not None:
            yield family, number * BYTES_PER_MB if name.endswith(b"_mb") else number


def _number(value: object) -> float | None:
    if isinstance(value, bytes) and _NUMBER.match(value):
        value = float(value)
    return value if isinstance(value, int | float) and abs(value) < 1e300 else None
