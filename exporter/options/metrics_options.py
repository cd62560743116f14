"""The options that say which metrics there are, and what of keys, streams and scripts is exported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from exporter.options.option import flag
from exporter.options.patterns import NamePattern
from exporter.options.values import (
    BOOL,
    COUNT,
    FILES,
    INTEGER,
    INTERVAL,
    KEYS,
    LUA_PATTERNS,
    NAME_PATTERNS,
    KeyName,
    ScriptFile,
    ValueType,
    choice,
    choices,
    join_items,
    parse_list,
    parse_namespace,
)


# fmt: off
@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """Which metrics there are, under which names and labels."""

    namespace: str = flag("namespace", ValueType("PREFIX", parse_namespace, empty=True), "redis",
        "Prefix of every metric name.", reloadable=False)
    second_names: str = flag("second-names", choice("all", "scalar", "none"), "scalar",
        "Show metrics that have a second name under both names. all: every one. scalar: those that no "
        "command, key or stream repeats, and command_call_duration_seconds. none: first names only.",
        former=("handbook-names",))
    target_labels: str = flag("target-labels", choice("auto", "always", "never", "instance"), "auto",
        "Where to add the target's labels: auto (on /metrics but not /scrape), always, never. instance: as "
        "auto, with the label instance in place of addr and alias.",
        reloadable=False)
    instance_label: str = flag("instance-label", choice("address", "alias"), "address",
        "What the label instance of --target-labels=instance is: the target's address without the scheme, or "
        "its alias where it has one.", reloadable=False)
    max_label_length: int = flag("max-label-length", COUNT, "1024",
        "Longest label value in bytes. Longer ones are cut.")
    include_system_metrics: bool = flag("include-system-metrics", BOOL, "false",
        "Add the memory of the target's host.", env="REDIS_EXPORTER_INCL_SYSTEM_METRICS")
    include_metrics_for_empty_databases: bool = flag("include-metrics-for-empty-databases", BOOL, "true",
        "Export zeros for databases without keys.",
        env="REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES", per_target=True)
    include_config_metrics: bool = flag("include-config-metrics", BOOL, "false",
        "Export every parameter of CONFIG GET.", env="REDIS_EXPORTER_INCL_CONFIG_METRICS", per_target=True)
    include_config_hash: bool = flag("include-config-hash", BOOL, "false",
        "Export a hash of CONFIG GET *, without secrets and values that differ from server to server: where "
        "it is equal, targets are configured alike.", per_target=True)
    redact_config_metrics: bool = flag("redact-config-metrics", BOOL, "true",
        "Leave secrets out of --include-config-metrics.", per_target=True)
    include_rdb_file_size_metric: bool = flag("include-rdb-file-size-metric", BOOL, "false",
        "Export the size of the RDB file, if it is on the exporter's own host.",
        env="REDIS_EXPORTER_INCL_RDB_FILE_SIZE_METRIC", per_target=True)
    exclude_latency_histogram_metrics: bool = flag("exclude-latency-histogram-metrics", BOOL, "false",
        "Do not send LATENCY LATEST and LATENCY HISTOGRAM.", per_target=True)
    export_client_list: bool = flag("export-client-list", BOOL, "false",
        "Export each client of CLIENT LIST.", per_target=True)
    export_client_port: bool = flag("export-client-port", BOOL, "false",
        "Add the client's port as a label.", per_target=True)
    client_list_by: tuple[str, ...] = flag(
        "client-list-by", choices("name", "user", "lib-name", "cmd", "db", "flags"), "",
        "Count clients by any of name, user, lib-name, cmd, db, flags.", per_target=True)
    client_list_max_clients: int = flag("client-list.max-clients", COUNT, "5000",
        "Do not send CLIENT LIST to a target with more clients: the reply would block the target.",
        per_target=True)
    include_memory_stats_metrics: bool = flag("include-memory-stats-metrics", BOOL, "false",
        "Export MEMORY STATS.", per_target=True)
    include_slot_stats_metrics: bool = flag("include-slot-stats-metrics", BOOL, "false",
        "Export CLUSTER SLOT-STATS: the 100 hash slots of a cluster node with the most keys, memory, CPU "
        "time and traffic.", per_target=True)
    include_hotkeys_metrics: bool = flag("include-hotkeys-metrics", BOOL, "false",
        "Export HOTKEYS GET: the keys of the newest session that an operator started with HOTKEYS START.",
        per_target=True)
    include_acl_log_metrics: bool = flag("include-acl-log-metrics", BOOL, "false",
        "Count denials of ACL LOG by reason and user.", per_target=True)
    include_modules_metrics: bool = flag("include-modules-metrics", BOOL, "false",
        "Export INFO MODULES.", env="REDIS_EXPORTER_INCL_MODULES_METRICS", per_target=True)
    include_search_indexes_metrics: bool = flag("include-search-indexes-metrics", BOOL, "false",
        "Export the search indexes.", env="REDIS_EXPORTER_INCL_SEARCH_INDEXES_METRICS", per_target=True)
    check_search_indexes: NamePattern = flag(
        "check-search-indexes", ValueType("REGEX", partial(NamePattern, flag="--check-search-indexes")), ".*",
        "Regular expression that the names of the search indexes must match.", per_target=True)
    include_sentinel_peer_info: bool = flag("include-sentinel-peer-info", BOOL, "false",
        "Export each other Sentinel that a Sentinel knows.",
        env="REDIS_EXPORTER_INCL_SENTINEL_PEER_INFO", per_target=True)
    include_cluster_node_metrics: bool = flag("include-cluster-node-metrics", BOOL, "true",
        "Export each node that a cluster node knows.", per_target=True)
    append_instance_role_label: bool = flag("append-instance-role-label", BOOL, "false",
        "Add the target's role to every one of its series, as label instance_role.", per_target=True)
    export_unknown_info: bool = flag("export-unknown-info", BOOL, "false",
        "Export numbers of INFO that have no metric of their own, as redis_info_ and the field's name. 256 "
        "names at most.", per_target=True)
    allow: tuple[str, ...] = flag("metrics.allow", NAME_PATTERNS, "",
        "Names of metrics to export, with * and ?. Empty: all.")
    deny: tuple[str, ...] = flag("metrics.deny", NAME_PATTERNS, "",
        "Names of metrics not to export, with * and ?.")
    collectors_off: tuple[str, ...] = flag(
        "collectors.off", ValueType("COLLECTOR,…", parse_list, empty=True, join=join_items), "",
        "Collectors that do not run, by their names in docs/metrics.md, such as slowlog.", per_target=True)
    max_series_per_target: int = flag("max-series-per-target", COUNT, "10000",
        "How many series one target may have. Beyond it, new ones are refused.", per_target=True)
    max_series_per_family: int = flag("max-series-per-family", COUNT, "5000",
        "How many series one metric of one target may have.", per_target=True)
    export_timestamps: bool = flag("export-timestamps", BOOL, "false",
        "Add the time of its poll to each sample.")
    redis_only_metrics: bool = flag("redis-only-metrics", BOOL, "false",
        "Leave out the metrics of the exporter's own process and of its HTTP endpoint.",
        aliases=("redis-metrics-only",), reloadable=False)
    include_go_runtime_metrics: bool = flag("include-go-runtime-metrics", BOOL, "false",
        "Add metrics of the runtime, which is Python's here, not Go's.", reloadable=False)


@dataclass(frozen=True, slots=True)
class KeysOptions:
    """What to look at among the data itself."""

    check_keys: tuple[KeyName, ...] = flag("check-keys", KEYS, "",
        "Keys to export size and value of. Patterns are found with SCAN.", repeatable=True, per_target=True)
    check_single_keys: tuple[KeyName, ...] = flag("check-single-keys", KEYS, "",
        "Keys to export size and value of, by their exact names: no patterns.",
        repeatable=True, per_target=True)
    count_keys: tuple[KeyName, ...] = flag("count-keys", KEYS, "",
        "Patterns to count the keys of.", repeatable=True, per_target=True)
    check_streams: tuple[KeyName, ...] = flag("check-streams", KEYS, "",
        "Streams to export. Patterns are found with SCAN.", repeatable=True, per_target=True)
    check_single_streams: tuple[KeyName, ...] = flag("check-single-streams", KEYS, "",
        "Streams to export, by their exact names: no patterns.", repeatable=True, per_target=True)
    streams_exclude_consumer_metrics: bool = flag("streams-exclude-consumer-metrics", BOOL, "false",
        "Leave out the consumers of streams.", per_target=True)
    include_vector_set_metrics: bool = flag("include-vector-set-metrics", BOOL, "false",
        "Export VINFO of the vector sets among the keys of --check-keys and --check-single-keys.",
        per_target=True)
    check_key_groups: tuple[str, ...] = flag("check-key-groups", LUA_PATTERNS, "",
        "Lua patterns, as one CSV record. Keys are counted by what the first matching pattern captures.",
        per_target=True)
    max_distinct_key_groups: int = flag("max-distinct-key-groups", INTEGER, "100",
        "How many groups of keys of one database to export. The smallest others are summed up. 0 or less: "
        "all are summed up.", per_target=True)
    check_keys_batch_size: int = flag("check-keys-batch-size", COUNT, "1000",
        "COUNT of each SCAN.", per_target=True)
    disable_exporting_key_values: bool = flag("disable-exporting-key-values", BOOL, "false",
        "Do not export values of keys.", per_target=True)
    skip_checkkeys_for_role_master: bool = flag("skip-checkkeys-for-role-master", BOOL, "false",
        "Look for keys, streams and groups of keys on replicas only.", per_target=True)
    missing_keys: str = flag("missing-keys", choice("zero", "absent"), "zero",
        "Value of redis_key_size for a key of --check-single-keys that does not exist: zero, or absent for "
        "no series.", per_target=True)
    max_keys_per_pattern: int = flag("max-keys-per-pattern", COUNT, "1000",
        "How many keys of one pattern to export.", per_target=True)
    scan_budget_keys: int = flag("scan.budget-keys", COUNT, "10000000",
        "How many keys one SCAN over a target may look at.", per_target=True)
    scan_budget_time_s: float = flag("scan.budget-time", INTERVAL, "30s",
        "Time limit for one SCAN over a target.", per_target=True)
    script: tuple[ScriptFile, ...] = flag("script", FILES, "",
        "Lua files whose results to export.", repeatable=True, per_target=True)
    lua_script_read_only: bool = flag("lua-script-read-only", BOOL, "false",
        "Run the scripts with EVAL_RO.", per_target=True)
