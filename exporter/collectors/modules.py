"""INFO MODULES, on demand: which modules are loaded, and numbers that some of them report.

Fields of RediSearch: https://redis.io/docs/latest/develop/ai/search-and-query/administration/info-command/
(redis-stack and Redis 8); those of valkey-bloom, valkey-json and valkey-search: https://github.com/valkey-io
(the modules of Valkey's bundle).
"""

from __future__ import annotations

import re
from functools import partial

from exporter.collectors._contract import Batches, Collector, Out
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import Field, NameSet, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command
from exporter.protocol.facts import Facts

go_gauge = partial(gauge, name_set=NameSet.GO)
go_counter = partial(counter, name_set=NameSet.GO)

MODULE_INFO = go_gauge(
    "module_info",
    "A loaded module and what it is tied to. Always 1.",
    labels=("name", "ver", "api", "filters", "usedby", "using"),
)
#: a name may hold commas and more; what follows it is of a form that none has
MODULE = re.compile(
    rb"^module:name=(.*),ver=(-?[0-9]+),api=(-?[0-9]+),filters=(-?[0-9]+),usedby=(\[[^\]\r\n]*\]),using=(\[[^\]\r\n]*\])",
    re.M,
)

#: name without `search_`, field without `search_`, help
SEARCH_GAUGES = (
    ("number_of_indexes", "number_of_indexes", "Search indexes."),
    ("used_memory_indexes_bytes", "used_memory_indexes", "Memory of all search indexes."),
    ("dialect_1", "dialect_1", "1 if a query of search dialect 1 was made."),
    ("dialect_2", "dialect_2", "1 if a query of search dialect 2 was made."),
    ("dialect_3", "dialect_3", "1 if a query of search dialect 3 was made."),
    ("dialect_4", "dialect_4", "1 if a query of search dialect 4 was made."),
    ("global_idle", "global_idle", "Search cursors that wait to be read on."),
    ("global_total", "global_total", "Search cursors that are open."),
    ("collected_bytes", "bytes_collected",
     "Bytes that the collector of search garbage freed, on redis-stack."),
    ("number_of_active_indexes", "number_of_active_indexes",
     "Search indexes that are queried or written to at present."),
    ("number_of_active_indexes_running_queries", "number_of_active_indexes_running_queries",
     "Search indexes that are queried at present."),
    ("number_of_active_indexes_indexing", "number_of_active_indexes_indexing",
     "Search indexes that are written to at present."),
    ("total_active_write_threads", "total_active_write_threads",
     "Threads that write to search indexes at present."),
    ("total_num_docs_in_indexes", "total_num_docs_in_indexes", "Documents in all search indexes."),
    ("smallest_memory_index_bytes", "smallest_memory_index", "Memory of the smallest search index."),
    ("largest_memory_index_bytes", "largest_memory_index", "Memory of the largest search index."),
    ("used_memory_vector_index_bytes", "used_memory_vector_index", "Memory of the vector indexes."),
    ("global_idle_user", "global_idle_user", "Search cursors of users that wait to be read on."),
    ("global_idle_internal", "global_idle_internal",
     "Search cursors between shards that wait to be read on."),
    ("global_total_user", "global_total_user", "Search cursors of users that are open."),
    ("global_total_internal", "global_total_internal", "Search cursors between shards that are open."),
    ("gc_collected_bytes", "gc_bytes_collected",
     "Bytes that the collector of search garbage freed, on Redis 8."),
    ("gc_total_docs_not_collected", "gc_total_docs_not_collected",
     "Deleted documents that the collector has still to remove."),
    ("gc_marked_deleted_vectors", "gc_marked_deleted_vectors",
     "Deleted vectors that have still to be removed."),
    ("errors_indexing_failures", "errors_indexing_failures", "Documents that could not be indexed."),
    ("used_memory_bytes", "used_memory_bytes", "Memory of valkey-search."),
    ("number_of_attributes", "number_of_attributes", "Attributes of all indexes of valkey-search."),
    ("total_indexed_documents", "total_indexed_documents", "Documents that valkey-search has indexed."),
    ("query_queue_size", "query_queue_size", "Queries that wait for a thread of valkey-search."),
    ("writer_queue_size", "writer_queue_size", "Writes that wait for a thread of valkey-search."),
    ("string_interning_store_size", "string_interning_store_size",
     "Strings that valkey-search holds once for all."),
    (
        "vector_externing_hash_extern_errors",
        "vector_externing_hash_extern_errors",
        "Vectors that valkey-search could not share with their hashes.",
    ),
    ("vector_externing_num_lru_entries", "vector_externing_num_lru_entries",
     "Shared vectors that are cached."),
)  # fmt: skip
SEARCH_COUNTERS = (
    ("indexing_time_ms_total", "total_indexing_time", "Milliseconds spent on indexing."),
    ("cycles_total", "total_cycles", "Runs of the collector of search garbage, on redis-stack."),
    ("run_ms_total", "total_ms_run",
     "Milliseconds that the collector of search garbage ran, on redis-stack."),
    ("gc_cycles_total", "gc_total_cycles", "Runs of the collector of search garbage, on Redis 8."),
    ("gc_run_ms_total", "gc_total_ms_run",
     "Milliseconds that the collector of search garbage ran, on Redis 8."),
    ("queries_processed_total", "total_queries_processed", "Search queries that were answered."),
    ("query_commands_total", "total_query_commands", "Search commands, those that read on included."),
    ("query_execution_time_ms_total", "total_query_execution_time_ms",
     "Milliseconds spent on search queries."),
    ("active_queries_total", "total_active_queries", "Search queries under way."),
    ("worker_pool_suspend_count", "worker_pool_suspend_cnt",
     "Times the threads of valkey-search were suspended."),
    ("writer_resumed_count", "writer_resumed_cnt", "Times the writers of valkey-search were resumed."),
    ("reader_resumed_count", "reader_resumed_cnt", "Times the readers of valkey-search were resumed."),
    ("writer_suspension_expired_count", "writer_suspension_expired_cnt",
     "Suspensions of the writers that ran out."),
    ("rdb_load_success_count", "rdb_load_success_cnt", "Indexes that were loaded from a dump."),
    ("rdb_load_failure_count", "rdb_load_failure_cnt", "Indexes that could not be loaded from a dump."),
    ("rdb_save_success_count", "rdb_save_success_cnt", "Indexes that were saved to a dump."),
    ("rdb_save_failure_count", "rdb_save_failure_cnt", "Indexes that could not be saved to a dump."),
    ("successful_requests_count", "successful_requests_count", "Requests to valkey-search that succeeded."),
    ("failure_requests_count", "failure_requests_count", "Requests to valkey-search that failed."),
    ("hybrid_requests_count", "hybrid_requests_count",
     "Requests to valkey-search with a vector and a filter."),
    ("inline_filtering_requests_count", "inline_filtering_requests_count",
     "Those requests that were filtered while searching."),
    ("hnsw_add_exceptions_count", "hnsw_add_exceptions_count",
     "Vectors that could not be added to an HNSW graph."),
    ("hnsw_remove_exceptions_count", "hnsw_remove_exceptions_count",
     "Vectors that could not be removed from an HNSW graph."),
    ("hnsw_modify_exceptions_count", "hnsw_modify_exceptions_count",
     "Vectors that could not be changed in an HNSW graph."),
    ("hnsw_search_exceptions_count", "hnsw_search_exceptions_count",
     "Searches in an HNSW graph that failed."),
    ("hnsw_create_exceptions_count", "hnsw_create_exceptions_count", "HNSW graphs that could not be made."),
    ("vector_externing_entry_count", "vector_externing_entry_count",
     "Vectors that are shared with their hashes."),
    ("vector_externing_generated_value_count", "vector_externing_generated_value_cnt",
     "Values of hashes that were made again from shared vectors."),
    ("vector_externing_lru_promote_count", "vector_externing_lru_promote_cnt",
     "Shared vectors that were used again while cached."),
    ("vector_externing_deferred_entry_count", "vector_externing_deferred_entry_cnt",
     "Vectors whose sharing was put off."),
)  # fmt: skip

FAMILIES = (
    MODULE_INFO,
    *(go_gauge(f"search_{name}", text, Field(f"search_{field}")) for name, field, text in SEARCH_GAUGES),
    *(go_counter(f"search_{name}", text, Field(f"search_{field}")) for name, field, text in SEARCH_COUNTERS),
    go_gauge(
        "bf_bloom_total_memory_bytes", "Memory of all Bloom filters.", Field("bf_bloom_total_memory_bytes")
    ),
    go_gauge("bf_bloom_num_objects", "Keys that hold Bloom filters.", Field("bf_bloom_num_objects")),
    go_gauge(
        "bf_bloom_num_filters_across_objects",
        "Bloom filters in all those keys.",
        Field("bf_bloom_num_filters_across_objects"),
    ),
    go_gauge(
        "bf_bloom_num_items_across_objects",
        "Items that were added to Bloom filters.",
        Field("bf_bloom_num_items_across_objects"),
    ),
    go_gauge(
        "bf_bloom_capacity_across_objects",
        "Items that the Bloom filters can take.",
        Field("bf_bloom_capacity_across_objects"),
    ),
    go_counter(
        "bf_bloom_defrag_hits_total", "Bloom filters that were defragmented.", Field("bf_bloom_defrag_hits")
    ),
    go_counter(
        "bf_bloom_defrag_misses_total",
        "Bloom filters that did not need defragmenting.",
        Field("bf_bloom_defrag_misses"),
    ),
    go_gauge("json_total_memory_bytes", "Memory of all JSON documents.", Field("json_total_memory_bytes")),
    go_gauge("json_num_documents", "JSON documents.", Field("json_num_documents")),
)


class ModulesCollector(Collector[None]):
    name = "modules"
    help = "INFO MODULES."
    lane = Lane.SLOW
    families = FAMILIES

    def enabled(self, options: Options) -> bool:
        return options.metrics.include_modules_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.version >= (6, 0, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",)

    def repeats(self, options: Options) -> bool:
        return True

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [text] = yield [Command.of("INFO", "modules")]
        if isinstance(text, ReplyError):
            raise text.as_target_error()
        if not isinstance(text, bytes):
            raise ProtocolError("the reply to INFO modules is not a text")
        out.info(text)
        for at, module in enumerate(MODULE.finditer(text), 1):
            if at % PIECE == 0:
                yield PAUSE
            out.add(MODULE_INFO, 1, *module.groups())
