"""INFO, the sections that seldom change: server, persistence, cluster, and those of single products.

To add a metric from one of these sections, add a row: see `info.py`, which has the sections that move all the
time, and the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from exporter.collectors._contract import Batches, Collector, OutWithMemory
from exporter.collectors._info_replies import InfoMemory, ask_info, join_texts
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import (
    EverySubField,
    Field,
    NameSet,
    Pattern,
    Record,
    SubFieldLabel,
    Transform,
    counter,
    gauge,
)
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.facts import FLAVORS, Facts

go_gauge = partial(gauge, name_set=NameSet.GO)
go_counter = partial(counter, name_set=NameSet.GO)
alias_gauge = partial(gauge, name_set=NameSet.SECOND)

IO_THREAD = Pattern("io_thread_", "thread", digits=True)
KEYDB_THREAD = Pattern("thread_", "thread", suffix="_clients", digits=True)
ENGINE = Pattern("engine_", "", digits=True)
CERTIFICATE = Pattern("tls_", "certificate", suffix="_cert_serial")
#: suffix of the key, type, name of the families, what they count, the version that has them
KEY_SIZES = (
    ("strings_sizes", "string", "size", "size in bytes", "8.0"),
    ("lists_items", "list", "size", "size in items", "8.0"),
    ("sets_items", "set", "size", "size in items", "8.0"),
    ("zsets_items", "zset", "size", "size in items", "8.0"),
    ("hashes_items", "hash", "size", "size in items", "8.0"),
    ("streams_items", "stream", "size", "size in items", "8.10"),
    ("lists_sizes", "list", "memory", "bytes of memory", "8.6"),
    ("sets_sizes", "set", "memory", "bytes of memory", "8.6"),
    ("zsets_sizes", "zset", "memory", "bytes of memory", "8.6"),
    ("hashes_sizes", "hash", "memory", "bytes of memory", "8.6"),
    ("streams_sizes", "stream", "memory", "bytes of memory", "8.10"),
)
ENGINE_LABELS = (("engine", "name"), ("module", "module"), ("abi_version", "abi_version"))
#: the labels that the same values had before the Go exporter named them
ENGINE_SECOND_LABELS = (("engine", "name"), ("name", "name"), ("module", "module"))

SERVER = (
    go_gauge(
        "instance_info",
        "What the server is: role, version, mode, system. Always 1.",
        Field(
            "redis_version",
            Transform.ONE,
            labels=(
                ("role", "role"),
                ("redis_version", "redis_version"),
                ("redis_build_id", "redis_build_id"),
                ("redis_mode", "redis_mode|server_mode|RedisMode"),
                ("os", "os"),
                ("maxmemory_policy", "maxmemory_policy"),
                ("tcp_port", "tcp_port"),
                ("run_id", "run_id"),
                ("process_id", "process_id"),
                ("master_replid", "master_replid"),
                ("valkey_version", "valkey_version"),
                ("valkey_release_stage", "valkey_release_stage"),
                ("availability_zone", "availability_zone"),
                *((f"{name}_version", f"{name}_version") for name in FLAVORS if name != "valkey"),
                ("server_name", "server_name"),
            ),
            optional=("valkey_release_stage", "availability_zone", *(f"{name}_version" for name in FLAVORS)),
            spare=("server_name",),
            also=(*(f"{name}_version" for name in FLAVORS), "server_name", "RedisMode", "role", "os"),
        ),
    ),
    go_gauge("uptime_in_seconds", "Seconds since the server started.", Field("uptime_in_seconds")),
    go_gauge(
        "start_time_seconds",
        "When the server started, in Unix time by the exporter's clock.",
        Field("uptime_in_seconds", Transform.AGO),
    ),
    go_gauge("process_id", "Process id of the server.", Field("process_id")),
    go_gauge("hz", "Current runs of the server's background tasks per second.", Field("hz")),
    go_gauge(
        "configured_hz",
        "Configured runs of the server's background tasks per second.",
        Field("configured_hz"),
    ),
    gauge(
        "clients_hz",
        "Runs per second of the server's task that checks its clients.",
        Field("clients_hz"),
        since="valkey 8.1",
    ),
    go_gauge("io_threads_active", "1 while I/O threads are active.", Field("io_threads_active")),
    gauge("io_thread_clients", "Clients of one I/O thread.", Record(IO_THREAD, "clients"), since="8.0"),
    counter("io_thread_reads_total", "Reads by one I/O thread.", Record(IO_THREAD, "reads"), since="8.0"),
    counter("io_thread_writes_total", "Writes by one I/O thread.", Record(IO_THREAD, "writes"), since="8.0"),
    gauge("thread_clients", "Clients of one server thread of KeyDB.", Record(KEYDB_THREAD, "")),
    gauge(
        "shutdown_in_seconds",
        "How long the server still waits for its replicas before it shuts down.",
        Field("shutdown_in_milliseconds", Transform.MSEC),
        since="7.0",
    ),
    gauge(
        "availability_zone_info",
        "Availability zone that the server reports. Always 1.",
        Field("availability_zone", Transform.ONE, labels=(("availability_zone", "availability_zone"),)),
    ),
)

PERSISTENCE = (
    go_gauge("loading_dump_file", "1 while the server loads its data.", Field("loading")),
    go_gauge(
        "async_loading",
        "1 while a replica loads new data and still serves the old data.",
        Field("async_loading"),
        since="7.0",
    ),
    gauge("loading_start_timestamp_seconds", "When loading began.", Field("loading_start_time")),
    gauge("loading_size_bytes", "Size of the file being loaded.", Field("loading_total_bytes")),
    gauge(
        "loading_rdb_used_memory_bytes",
        "Memory that the server used when it wrote the file.",
        Field("loading_rdb_used_mem"),
    ),
    gauge("loading_loaded_bytes", "Bytes of the file that are loaded.", Field("loading_loaded_bytes")),
    gauge(
        "loading_loaded_ratio",
        "Share of the file that is loaded, from 0 to 1.",
        Field("loading_loaded_perc", Transform.PERCENT),
    ),
    gauge(
        "loading_eta_seconds",
        "Estimated time until loading ends.",
        Field("loading_eta_seconds"),
    ),
    gauge(
        "current_cow_peak_bytes",
        "Peak memory copied on write during the current fork.",
        Field("current_cow_peak"),
        since="7.0",
    ),
    gauge("current_cow_size_bytes", "Memory copied on write by the current fork.", Field("current_cow_size")),
    gauge(
        "current_cow_size_age_seconds",
        "Age of the copy-on-write size of the current fork.",
        Field("current_cow_size_age"),
    ),
    gauge(
        "current_fork_ratio",
        "Progress of the current fork.",
        Field("current_fork_perc", Transform.PERCENT),
    ),
    gauge(
        "current_save_keys_processed",
        "Keys that the current save has written.",
        Field("current_save_keys_processed"),
    ),
    gauge("current_save_keys", "Keys that the current save has to write.", Field("current_save_keys_total")),
    go_gauge(
        "rdb_changes_since_last_save",
        "Changes since the newest dump.",
        Field("rdb_changes_since_last_save", also=("changes_since_last_save",)),
    ),
    go_gauge(
        "rdb_bgsave_in_progress",
        "1 while a dump is written.",
        Field("rdb_bgsave_in_progress", also=("bgsave_in_progress",)),
    ),
    go_gauge(
        "backup_in_progress", "1 while BACKUP takes a backup.", Field("backup_in_progress"), since="8.10"
    ),
    go_gauge(
        "rdb_last_save_timestamp_seconds",
        "Time of the newest successful dump.",
        Field("rdb_last_save_time", also=("last_save_time",)),
    ),
    go_gauge(
        "rdb_last_bgsave_status",
        "1 if the newest dump succeeded.",
        Field("rdb_last_bgsave_status", Transform.FLAG),
    ),
    go_gauge(
        "rdb_last_bgsave_duration_sec",
        "Duration of the newest dump; -1: no dump yet.",
        Field("rdb_last_bgsave_time_sec", Transform.SIGNED),
    ),
    go_gauge(
        "rdb_current_bgsave_duration_sec",
        "Duration of the current dump so far; -1: no dump is running.",
        Field("rdb_current_bgsave_time_sec", Transform.SIGNED),
    ),
    go_gauge("rdb_saves_total", "Dumps since the server started.", Field("rdb_saves"), since="7.0"),
    gauge(
        "rdb_saves_consecutive_failures",
        "Dumps that failed in a row.",
        Field("rdb_saves_consecutive_failures"),
        since="8.4",
    ),
    go_gauge(
        "rdb_last_cow_size_bytes",
        "Memory copied on write during the newest dump.",
        Field("rdb_last_cow_size"),
    ),
    go_gauge(
        "rdb_last_load_expired_keys",
        "Expired keys that the newest load skipped.",
        Field("rdb_last_load_keys_expired"),
        since="7.0",
    ),
    go_gauge(
        "rdb_last_load_loaded_keys",
        "Keys that the newest load read.",
        Field("rdb_last_load_keys_loaded"),
        since="7.0",
    ),
    go_gauge("aof_enabled", "1 if the append-only file is on.", Field("aof_enabled")),
    go_gauge(
        "aof_rewrite_in_progress",
        "1 while the append-only file is rewritten.",
        Field("aof_rewrite_in_progress", also=("bgrewriteaof_in_progress",)),
    ),
    go_gauge(
        "aof_rewrite_scheduled", "1 if a rewrite waits for a dump to end.", Field("aof_rewrite_scheduled")
    ),
    go_gauge(
        "aof_last_rewrite_duration_sec",
        "Duration of the newest rewrite; -1: no rewrite yet.",
        Field("aof_last_rewrite_time_sec", Transform.SIGNED),
    ),
    go_gauge(
        "aof_current_rewrite_duration_sec",
        "Duration of the current rewrite so far; -1: no rewrite is running.",
        Field("aof_current_rewrite_time_sec", Transform.SIGNED),
    ),
    counter(
        "aof_rewrites_total",
        "Rewrites of the append-only file since the server started.",
        Field("aof_rewrites"),
        since="7.0",
    ),
    gauge(
        "aof_rewrites_consecutive_failures",
        "Rewrites that failed in a row.",
        Field("aof_rewrites_consecutive_failures"),
        since="7.0",
    ),
    go_gauge(
        "aof_last_cow_size_bytes",
        "Memory copied on write during the newest rewrite.",
        Field("aof_last_cow_size"),
    ),
    go_gauge("aof_current_size_bytes", "Size of the append-only file.", Field("aof_current_size")),
    go_gauge(
        "aof_base_size_bytes",
        "Size of the append-only file after its newest rewrite.",
        Field("aof_base_size"),
    ),
    go_gauge(
        "aof_pending_rewrite", "1 if a rewrite is due when the dump ends.", Field("aof_pending_rewrite")
    ),
    go_gauge("aof_buffer_length", "Bytes in the AOF buffer.", Field("aof_buffer_length")),
    go_gauge(
        "aof_rewrite_buffer_length", "Bytes in the AOF rewrite buffer.", Field("aof_rewrite_buffer_length")
    ),
    go_gauge(
        "aof_pending_bio_fsync", "fsync jobs waiting in the background.", Field("aof_pending_bio_fsync")
    ),
    go_gauge("aof_delayed_fsync", "fsync calls that were delayed.", Field("aof_delayed_fsync")),
    go_gauge(
        "aof_last_bgrewrite_status",
        "1 if the newest rewrite succeeded.",
        Field("aof_last_bgrewrite_status", Transform.FLAG),
    ),
    go_gauge(
        "aof_last_write_status",
        "1 if the newest write to the append-only file succeeded.",
        Field("aof_last_write_status", Transform.FLAG),
    ),
    go_gauge(
        "module_fork_in_progress", "1 while a fork of a module is running.", Field("module_fork_in_progress")
    ),
    go_gauge(
        "module_fork_last_cow_size",
        "Bytes copied on write during a module's newest fork.",
        Field("module_fork_last_cow_size"),
    ),
    gauge(
        "slot_migration_fork_in_progress",
        "1 while a fork exports slots.",
        Field("slot_migration_fork_in_progress"),
        since="valkey 9.1",
    ),
)

CLUSTER = (go_gauge("cluster_enabled", "1 if the server is a cluster node.", Field("cluster_enabled")),)

TLS = (
    *(
        go_gauge(
            f"tls_{which}_cert_expires_in_seconds",
            f"How long the {text} is still valid; 0: the server has none.",
            Field(f"tls_{which}_cert_expires_in_seconds", Transform.SIGNED),
            since="valkey 9.1",
        )
        for which, text in (
            ("server", "server certificate"),
            ("client", "client certificate"),
            ("ca", "CA certificate"),
        )
    ),
    go_gauge(
        "tls_certificate_info",
        "Serial number of a certificate of the server: server, client or ca. Always 1.",
        Record(CERTIFICATE, "", Transform.ONE, labels=(("serial", ""),)),
        since="valkey 9.1",
    ),
)

HOTKEYS = (
    gauge(
        "hotkeys_tracking_active",
        "1 while HOTKEYS counts the keys that are used most.",
        Field("hotkeys-tracking-active"),
        since="8.6",
    ),
    gauge(
        "hotkeys_tracking_cpu_seconds",
        "Time that the newest HOTKEYS session has spent counting.",
        Field("hotkeys-cmd-cpu-time", Transform.MSEC),
        since="8.6",
    ),
)

SCRIPTING = (
    go_gauge(
        "scripting_engines_count", "Scripting engines loaded.", Field("engines_count"), since="valkey 9.1"
    ),
    alias_gauge(
        "scripting_engines",
        "Scripting engines loaded. Same value as scripting_engines_count.",
        Field("engines_count"),
        since="valkey 9.1",
    ),
    go_gauge(
        "scripting_engines_memory_used_bytes",
        "Memory of all scripting engines.",
        Field("engines_total_used_memory"),
        since="valkey 9.1",
    ),
    alias_gauge(
        "scripting_engines_used_memory_bytes",
        "Memory of all scripting engines. Same value as scripting_engines_memory_used_bytes.",
        Field("engines_total_used_memory"),
        since="valkey 9.1",
    ),
    go_gauge(
        "scripting_engines_memory_overhead_bytes",
        "Overhead of all scripting engines.",
        Field("engines_total_memory_overhead"),
        since="valkey 9.1",
    ),
    alias_gauge(
        "scripting_engines_overhead_bytes",
        "Overhead of all scripting engines. Same value as scripting_engines_memory_overhead_bytes.",
        Field("engines_total_memory_overhead"),
        since="valkey 9.1",
    ),
    go_gauge(
        "scripting_engine_info",
        "A scripting engine: its name, module and the version of its interface. Always 1.",
        Record(ENGINE, "abi_version", Transform.ONE, labels=ENGINE_LABELS),
        since="valkey 9.1",
    ),
    go_gauge(
        "scripting_engine_memory_used_bytes",
        "Memory of one scripting engine.",
        Record(ENGINE, "used_memory", labels=ENGINE_LABELS),
        since="valkey 9.1",
    ),
    alias_gauge(
        "scripting_engine_used_memory_bytes",
        "Memory of one scripting engine. Same value as scripting_engine_memory_used_bytes.",
        Record(ENGINE, "used_memory", labels=ENGINE_SECOND_LABELS),
        since="valkey 9.1",
    ),
    go_gauge(
        "scripting_engine_memory_overhead_bytes",
        "Overhead of one scripting engine.",
        Record(ENGINE, "memory_overhead", labels=ENGINE_LABELS),
        since="valkey 9.1",
    ),
    alias_gauge(
        "scripting_engine_overhead_bytes",
        "Overhead of one scripting engine. Same value as scripting_engine_memory_overhead_bytes.",
        Record(ENGINE, "memory_overhead", labels=ENGINE_SECOND_LABELS),
        since="valkey 9.1",
    ),
)

KEYSIZES = tuple(
    gauge(
        f"db_{type_name}_{by}_keys",
        f"Keys of type {type_name} by {what}; the label is the lower end of a power of two.",
        EverySubField(
            Pattern("db", "db", suffix=f"_distrib_{suffix}", digits=True, constant=(("type", type_name),)),
            "size",
            SubFieldLabel.SIZE,
        ),
        since=since,
    )
    for suffix, type_name, by, what, since in KEY_SIZES
)


class ServerCollector(Collector[InfoMemory]):
    name = "server"
    help = "INFO, the sections that seldom change."
    lane = Lane.STANDARD
    unthrifty_lane = Lane.FAST
    families = (
        *SERVER,
        *PERSISTENCE,
        *CLUSTER,
        *TLS,
        *HOTKEYS,
        *SCRIPTING,
        *KEYSIZES,
    )
    reads_again = True
    memory_name = "info"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+info",)

    def new_memory(self) -> InfoMemory:
        return InfoMemory()

    def collect(self, facts: Facts, options: Options, out: OutWithMemory[InfoMemory]) -> Batches:
        replies = yield from ask_info(out.memory.sections, facts.run_id, out.now)
        if isinstance(replies[0], ReplyError):
            raise replies[0].as_target_error()
        if not isinstance(replies[0], bytes):
            raise ProtocolError("the reply to INFO is not a text")
        out.info(join_texts(replies))

    def read_again(
        self,
        facts: Facts,
        options: Options,
        out: OutWithMemory[InfoMemory],
        replies: Sequence[bytes | None],
    ) -> bool:
        text, sections = replies[0], out.memory.sections
        if text is None or len(replies) > 1 or sections.apart.names or sections.whole.names:
            return False
        if sections.apart.is_due(facts.run_id, out.now):
            return False
        out.info(text)
        return True
