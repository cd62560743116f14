"""The one table of options: each field is a row. Flags, variables, help, docs and `--print-config` derive
from it.

Names, variables and defaults of the options that the Go exporter has are the same as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial

from exporter.files import FileLimits
from exporter.node_allowance import Allowance
from exporter.options.option import Option, Setting, flag, group, options_in
from exporter.options.patterns import NamePattern
from exporter.options.values import (
    ADDRESSES,
    ALLOWANCE,
    BOOL,
    COUNT,
    CREDENTIAL,
    DURATION_OR_ZERO,
    FILE,
    FILES,
    INTEGER,
    INTERVAL,
    KEYS,
    LANE_INTERVAL,
    LUA_PATTERNS,
    NAME_PATTERNS,
    SERVER_NAME,
    TEXT,
    KeyName,
    ScriptFile,
    ValueType,
    choice,
    choices,
    parse_listen_address,
    parse_namespace,
    parse_path,
)


# fmt: off
@dataclass(frozen=True, slots=True)
class RedisOptions:
    """The targets, and how to connect to them."""

    addr: tuple[str, ...] = flag("redis.addr", ADDRESSES, "redis://localhost:6379",
        "Targets, with redis:// rediss:// valkey:// valkeys:// tcp:// or unix://. Empty: none.",
        env="REDIS_ADDR", repeatable=True)
    user: str = flag("redis.user", CREDENTIAL, "",
        "ACL user of the targets in --redis.addr: one for all, or a comma list with one for each.",
        env="REDIS_USER", per_target=True)
    password: str = flag("redis.password", CREDENTIAL, "",
        "Password of the targets in --redis.addr: one for all, or a comma list with one for each.",
        env="REDIS_PASSWORD", secret=True, per_target=True)
    password_file: str = flag("redis.password-file", FILE, "",
        "JSON file of passwords by address, or a file of one password for the targets in --redis.addr. Not "
        "read beside --redis.password.",
        env="REDIS_PASSWORD_FILE")
    file: str = flag("redis-file", FILE, "",
        "YAML file of targets with names, passwords and labels (redis_instances).")
    connection_timeout_s: float = flag("connection-timeout", INTERVAL, "15s",
        "Time limit for connecting, and for one poll.", per_target=True)
    scrape_timeout_s: float = flag("scrape-timeout", INTERVAL, "30s",
        "Time limit for a whole poll, and for a scrape on demand.", per_target=True)
    connection_max_age_s: float = flag("connection-max-age", INTERVAL, "10m",
        "Reconnect after this time, so that a broken login or firewall shows up.", per_target=True)
    dns_max_lookups: int = flag("dns.max-lookups", COUNT, "64",
        "How many host names may be looked up at once.", reloadable=False)
    discover_allow: Allowance | None = flag("discover.allow", ALLOWANCE, "",
        "Where nodes that a cluster names may be: networks, addresses, host names with *. Empty: near the "
        "target that named them.", per_target=True)
    set_client_name: bool = flag("set-client-name", BOOL, "true",
        "Name the connections redis_exporter in CLIENT LIST.", per_target=True)
    ping_on_connect: bool = flag("ping-on-connect", BOOL, "false",
        "Send PING on each new connection and export how long the reply took.", per_target=True)
    config_command: str = flag("config-command", TEXT, "CONFIG",
        "Name of the CONFIG command on the targets. -: do not send it.", per_target=True)
    is_cluster: bool = flag("is-cluster", BOOL, "false",
        "Look for keys and streams on all nodes of each target's cluster, list these nodes for Prometheus, "
        "and answer on /scrape for each.", reloadable=False)
    is_tile38: bool = flag("is-tile38", BOOL, "false", "Export Tile38's own metrics too.", per_target=True)
    is_sentinel: bool = flag("is-sentinel", BOOL, "false",
        "Accepted for compatibility and ignored: the exporter recognises a Sentinel by itself.",
        reloadable=False)
    tls_client_key_file: str = flag("tls-client-key-file", FILE, "",
        "Private key to present to the targets. Needs the certificate too.", per_target=True)
    tls_client_cert_file: str = flag("tls-client-cert-file", FILE, "",
        "Certificate to present to the targets. Needs the key too.", per_target=True)
    tls_ca_cert_file: str = flag("tls-ca-cert-file", FILE, "",
        "Certificate authorities to trust instead of the system's own.", per_target=True)
    tls_server_name: str = flag("tls-server-name", SERVER_NAME, "",
        "Host name to send and verify in TLS instead of the host of the address.", per_target=True)
    skip_tls_verification: bool = flag("skip-tls-verification", BOOL, "false",
        "Accept any certificate of a target.", per_target=True)


@dataclass(frozen=True, slots=True)
class PollOptions:
    """When to poll. The intervals of the lanes are as configured: see `lanes`."""

    interval_s: float = flag("poll.interval", INTERVAL, "5s",
        "Time between two polls of the fast lane: INFO and other cheap commands.", per_target=True)
    standard_interval_s: float = flag("poll.standard-interval", LANE_INTERVAL, "15s",
        "Time between two polls of the standard lane: statistics by command. A whole multiple of the fast "
        "lane's.", per_target=True)
    slow_interval_s: float = flag("poll.slow-interval", LANE_INTERVAL, "60s",
        "Time between two polls of the slow lane: configuration, clients, histograms. A whole multiple of "
        "the fast lane's.", per_target=True)
    scan_interval_s: float = flag("poll.scan-interval", LANE_INTERVAL, "5m",
        "Time between two polls of the scan lane: all that needs SCAN.", per_target=True)
    align: str = flag("poll.align", choice("auto", "off"), "auto",
        "auto: learn when scrapers come, and poll just before. off: spread the polls over the interval.",
        reloadable=False)
    follow: bool = flag("poll.follow", BOOL, "false",
        "If scrapers come less often than the interval, poll only as often as they come.", reloadable=False)
    max_in_flight: int = flag("poll.max-in-flight", COUNT, "256",
        "How many polls may run at once, over all targets.", reloadable=False)
    max_dials: int = flag("poll.max-dials", COUNT, "64",
        "How many connections may be set up at once. Those that wait long for an answer do not count.",
        reloadable=False)
    max_backoff_s: float = flag("poll.max-backoff", INTERVAL, "30s",
        "Longest pause before a target that is down is tried again.", per_target=True)
    reply_max_bytes: int = flag("reply.max-bytes", COUNT, "4194304",
        "Largest reply that is read, in bytes. All replies of one batch together may have 16 times as many.",
        per_target=True)
    reply_max_elements: int = flag("reply.max-elements", COUNT, "100000",
        "Largest reply that is read, in elements. Elements of nested lists count too.", per_target=True)
    reply_max_rows: int = flag("reply.max-rows", COUNT, "10000",
        "How many lines of INFO, or rows of a list, are read from one reply. The rest is left out and "
        "counted.", per_target=True)
    max_age_s: float = flag("max-age", DURATION_OR_ZERO, "0s",
        "Age at which values are stale. 0s: three intervals of their lane plus its time limit.",
        per_target=True)
    max_age_floor_s: float = flag("max-age.floor", DURATION_OR_ZERO, "0s",
        "Shortest time between two polls of a target that requests with max_age cause. 0s: 1s, or a tenth "
        "of the interval if that is less.", per_target=True)
    stale_policy: str = flag("stale-policy", choice("drop", "serve", "fail"), "drop",
        "What to do with stale values. drop: leave them out. serve: show them. fail: leave them out, and "
        "answer 503 on /scrape.", reloadable=False)

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) is None:  # as often as the fast lane
                object.__setattr__(self, each.name, self.interval_s)


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What is served over HTTP, and to whom."""

    listen_address: str = flag(
        "web.listen-address", ValueType("[HOST]:PORT", parse_listen_address), ":9121",
        "Address to listen on for HTTP. Without a host: every interface.")
    telemetry_path: str = flag("web.telemetry-path", ValueType("PATH", parse_path), "/metrics",
        "Path of the page with the metrics of all targets.")
    max_connections: int = flag("web.max-connections", COUNT, "512",
        "How many HTTP connections may be open, as far as the limit of open files allows. Beyond it, the "
        "least useful one is closed.")
    max_connections_per_address: int = flag("web.max-connections-per-address", COUNT, "256",
        "How many HTTP connections may be open from one address.")
    request_timeout_s: float = flag("web.request-timeout", INTERVAL, "10s",
        "Time limit for a whole request to arrive, and for a TLS handshake.")
    idle_timeout_s: float = flag("web.idle-timeout", INTERVAL, "6m",
        "How long a connection may wait for its next request.")
    write_timeout_s: float = flag("web.write-timeout", INTERVAL, "10s",
        "How long a client may read nothing of its answer.")
    answer_timeout_s: float = flag("web.answer-timeout", INTERVAL, "2m", "Time limit for one answer.")
    max_request_bytes: int = flag("web.max-request-bytes", COUNT, "65536",
        "Largest head, and largest body, of a request in bytes.")
    old_pages_bytes: int = flag("web.old-pages-bytes", COUNT, "268435456",
        "Memory for replaced pages that slow clients still read. Beyond it, those clients are disconnected.")
    max_password_checks: int = flag("web.max-password-checks", COUNT, "8",
        "How many passwords may wait for their check against --basic-auth-hash-password. More get 429.")
    page_min_interval_s: float = flag("page.min-interval", DURATION_OR_ZERO, "1s",
        "Shortest time between two builds of the page of all targets.")
    page_max_selections: int = flag("page.max-selections", COUNT, "256",
        "How many pages with part, group or name[] are kept. One client address may have half of them.")
    page_max_selections_bytes: int = flag("page.max-selections-bytes", COUNT, "67108864",
        "Memory for the pages with part, group or name[]. Beyond it, only pages that are scraped regularly "
        "are built ahead.")
    health_strict: bool = flag("health.strict", BOOL, "false",
        "Answer 503 on /health when no target can be reached.")
    disable_scrape_endpoint: bool = flag("disable-scrape-endpoint", BOOL, "false", "Answer 404 on /scrape.")
    cluster_discover_hostnames: bool = flag("cluster-discover-hostnames", BOOL, "false",
        "Answer /discover-cluster-nodes with the host names that nodes announce.")
    tls_server_key_file: str = flag("tls-server-key-file", FILE, "",
        "Private key for HTTPS. Needs the certificate too.")
    tls_server_cert_file: str = flag("tls-server-cert-file", FILE, "",
        "Certificate for HTTPS. Needs the key too.")
    tls_server_ca_cert_file: str = flag("tls-server-ca-cert-file", FILE, "",
        "Certificate authorities that must have signed a client's certificate.")
    tls_server_min_version: str = flag(
        "tls-server-min-version", choice("TLS1.0", "TLS1.1", "TLS1.2", "TLS1.3"), "TLS1.2",
        "Oldest version of TLS to accept.")
    basic_auth_username: str = flag("basic-auth-username", CREDENTIAL, "",
        "User name that every request must send.")
    basic_auth_password: str = flag("basic-auth-password", CREDENTIAL, "",
        "Password that every request must send.", secret=True)
    basic_auth_hash_password: str = flag("basic-auth-hash-password", CREDENTIAL, "",
        "bcrypt hash of that password, in place of --basic-auth-password.", secret=True)


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """Which metrics there are, under which names and labels."""

    namespace: str = flag("namespace", ValueType("PREFIX", parse_namespace, empty=True), "redis",
        "Prefix of every metric name.", reloadable=False)
    second_names: str = flag("second-names", choice("all", "scalar", "none"), "scalar",
        "Show metrics that have a second name under both names. all: every one. scalar: those that no "
        "command, key or stream repeats, and command_call_duration_seconds. none: first names only.",
        former=("handbook-names",))
    target_labels: str = flag("target-labels", choice("auto", "always", "never"), "auto",
        "Where to add the target's labels: auto (on /metrics but not /scrape), always, never.",
        reloadable=False)
    max_label_length: int = flag("max-label-length", COUNT, "1024",
        "Longest label value in bytes. Longer ones are cut.")
    include_system_metrics: bool = flag("include-system-metrics", BOOL, "false",
        "Add the memory of the target's host.", env="REDIS_EXPORTER_INCL_SYSTEM_METRICS")
    include_metrics_for_empty_databases: bool = flag("include-metrics-for-empty-databases", BOOL, "true",
        "Export zeros for databases without keys.",
        env="REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES", per_target=True)
    include_config_metrics: bool = flag("include-config-metrics", BOOL, "false",
        "Export every parameter of CONFIG GET.", env="REDIS_EXPORTER_INCL_CONFIG_METRICS", per_target=True)
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


@dataclass(frozen=True, slots=True)
class FileOptions(FileLimits):
    """How files are read."""

    max_bytes: int = flag("files.max-bytes", COUNT, "8388608",
        "Largest file that is read (targets, passwords, scripts, certificates), in bytes.")
    timeout_s: float = flag("files.timeout", INTERVAL, "10s", "Time limit for reading a file.")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is logged."""

    debug: bool = flag("debug", BOOL, "false",
        "Log debug lines too, one for each poll, regardless of --log-level.")
    verbose: bool = flag("verbose", BOOL, "false",
        "Log what --debug logs, and the names and times of the commands that are sent.")
    level: str = flag(
        "log-level", choice("DEBUG", "INFO", "WARN", "WARNING", "ERROR", upper=True, otherwise="INFO"),
        "INFO",
        "Lowest level to log.")
    format: str = flag("log-format", choice("txt", "json", otherwise="txt"), "txt",
        "Log lines as text, or as one JSON object each.")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to show in place of running."""

    print_config: bool = flag("print-config", BOOL, "false",
        "Show every option's value and where it comes from, and exit.")
    version: bool = flag("version", BOOL, "false", "Show the version and exit.", env=None)
    help: bool = flag("help", BOOL, "false",
        "Show this help and exit.", env=None, aliases=("h",))


# fmt: on
@dataclass(frozen=True, slots=True)
class Options:
    """Every value, by group. `settings` are their texts by flag, secrets included."""

    redis: RedisOptions = group("Redis", RedisOptions)
    poll: PollOptions = group("Polling", PollOptions)
    web: WebOptions = group("Pages", WebOptions, reloadable=False)
    metrics: MetricsOptions = group("Metrics", MetricsOptions)
    keys: KeysOptions = group("Keys, streams and scripts", KeysOptions)
    files: FileOptions = group("Files", FileOptions)
    log: LogOptions = group("Logging", LogOptions, reloadable=False)
    run: RunOptions = group("This command", RunOptions, reloadable=False)
    settings: Mapping[str, Setting] = field(default_factory=dict, repr=False)

    @property
    def addr_given(self) -> bool:
        """Whether a flag or variable named targets, or no target on purpose."""
        return "redis.addr" in self.settings and self.settings["redis.addr"].source != "default"


OPTIONS: tuple[Option, ...] = tuple(options_in(Options))
