"""The one table of options. Flags, variables, help, docs and `--print-config` are all derived from it.

Names, variables and defaults of the options that the Go exporter has are that program's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from exporter.allowance import Allowance
from exporter.files import FileLimits
from exporter.options.option import Option
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
    LARGE_COUNT,
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

#: group → title
GROUPS = {
    "redis": "Redis",
    "poll": "Polling",
    "web": "Pages",
    "metrics": "Metrics",
    "keys": "Keys, streams and scripts",
    "files": "Files",
    "log": "Logging",
    "run": "This command",
}

OPTIONS: tuple[Option, ...] = (
    Option("redis.addr", ADDRESSES, "redis://localhost:6379", "redis", "addr",
           "Servers to watch, with redis:// rediss:// valkey:// valkeys:// tcp:// or unix://; empty: none.",
           env="REDIS_ADDR", repeatable=True),
    Option("redis.user", CREDENTIAL, "", "redis", "user",
           "ACL user for the servers of --redis.addr: one for all, or a comma list with one for each.", env="REDIS_USER"),
    Option("redis.password", CREDENTIAL, "", "redis", "password",
           "Password for the servers of --redis.addr: one for all, or a comma list with one for each.", env="REDIS_PASSWORD", secret=True),
    Option("redis.password-file", FILE, "", "redis", "password_file",
           "JSON file of passwords by address, for servers that have none otherwise.", env="REDIS_PASSWORD_FILE"),
    Option("redis-file", FILE, "", "redis", "file",
           "YAML file of servers with names, passwords and labels (redis_instances)."),
    Option("connection-timeout", INTERVAL, "15s", "redis", "connection_timeout_s",
           "Longest time that connecting or one poll may take."),
    Option("scrape-timeout", INTERVAL, "30s", "redis", "scrape_timeout_s",
           "Longest time for a whole poll or a scrape on demand."),
    Option("connection-max-age", INTERVAL, "10m", "redis", "connection_max_age_s",
           "Age at which a kept connection is made anew, which proves that connecting still works."),
    Option("dns.max-lookups", COUNT, "64", "redis", "dns_max_lookups",
           "How many host names may be looked up at once."),
    Option("discover.allow", ALLOWANCE, "", "redis", "discover_allow",
           "Where nodes that a cluster names may be: networks, addresses, host names with *; empty: near "
           "the server that named them."),
    Option("set-client-name", BOOL, "true", "redis", "set_client_name",
           "Name the connections redis_exporter in CLIENT LIST."),
    Option("ping-on-connect", BOOL, "false", "redis", "ping_on_connect",
           "PING each new connection and export how long that took."),
    Option("config-command", TEXT, "CONFIG", "redis", "config_command",
           "What CONFIG is called on the servers; - for not to ask it."),
    Option("is-cluster", BOOL, "false", "redis", "is_cluster",
           "Look for keys and streams on all nodes of each server's cluster."),
    Option("is-tile38", BOOL, "false", "redis", "is_tile38", "Ask for Tile38's own metrics too."),
    Option("is-sentinel", BOOL, "false", "redis", "is_sentinel",
           "Accepted for compatibility: a Sentinel is recognised by itself."),
    Option("tls-client-key-file", FILE, "", "redis", "tls_client_key_file",
           "Private key shown to the servers; needs the certificate too."),
    Option("tls-client-cert-file", FILE, "", "redis", "tls_client_cert_file",
           "Certificate shown to the servers; needs the key too."),
    Option("tls-ca-cert-file", FILE, "", "redis", "tls_ca_cert_file",
           "Authorities to trust instead of the system's own."),
    Option("tls-server-name", SERVER_NAME, "", "redis", "tls_server_name",
           "Name to ask for and to verify instead of the address's host."),
    Option("skip-tls-verification", BOOL, "false", "redis", "skip_tls_verification",
           "Accept whatever certificate a server shows."),
    Option("poll.interval", INTERVAL, "5s", "poll", "interval_s",
           "Time between two polls of the fast lane: INFO and what is as cheap."),
    Option("poll.standard-interval", LANE_INTERVAL, "15s", "poll", "standard_interval_s",
           "The same for the standard lane: statistics by command; a whole multiple of the fast one."),
    Option("poll.slow-interval", LANE_INTERVAL, "60s", "poll", "slow_interval_s",
           "The same for the slow lane: configuration, clients, histograms; a whole multiple of the fast "
           "one."),
    Option("poll.scan-interval", LANE_INTERVAL, "5m", "poll", "scan_interval_s",
           "The same for all that needs SCAN."),
    Option("poll.align", choice("auto", "off"), "auto", "poll", "align",
           "Learn when scrapers come, and poll just before: auto, or off for polls that are spread over "
           "the interval."),
    Option("poll.follow", BOOL, "false", "poll", "follow",
           "Poll no more often than scrapers come that are slower than the interval."),
    Option("poll.max-in-flight", COUNT, "256", "poll", "max_in_flight",
           "How many polls may be under way at once, all servers together."),
    Option("poll.max-dials", COUNT, "64", "poll", "max_dials",
           "How many connections may be made at once; those that a server leaves without an answer for "
           "longer do not count."),
    Option("poll.max-backoff", INTERVAL, "30s", "poll", "max_backoff_s",
           "Longest pause before a server that is down is tried again."),
    Option("reply.max-bytes", COUNT, "4194304", "poll", "reply_max_bytes",
           "Bytes of one reply beyond which it is not read; all replies of a poll's batch may have 16 "
           "times as many."),
    Option("reply.max-elements", COUNT, "100000", "poll", "reply_max_elements",
           "Elements of one reply beyond which it is not read, those of lists within it included."),
    Option("reply.max-rows", COUNT, "10000", "poll", "reply_max_rows",
           "Lines of INFO, and rows of a list, beyond which the rest of a reply is left out and counted."),
    Option("max-age", DURATION_OR_ZERO, "0s", "poll", "max_age_s",
           "Age at which values count as stale; 0s: three intervals of their lane and its deadline."),
    Option("max-age.floor", DURATION_OR_ZERO, "0s", "poll", "max_age_floor_s",
           "Shortest time between two polls of a target that requests with max_age cause; 0s: 1s, or a "
           "tenth of its interval if less."),
    Option("stale-policy", choice("drop", "serve", "fail"), "drop", "poll", "stale_policy",
           "Stale values are dropped, served on, or dropped with 503 from /scrape."),
    Option("web.listen-address", ValueType("[HOST]:PORT", parse_listen_address, empty=True), ":9121", "web",
           "listen_address",
           "Where to listen for HTTP; without a host on every interface."),
    Option("web.telemetry-path", ValueType("PATH", parse_path, empty=True), "/metrics", "web", "telemetry_path",
           "Path of the page that holds every server's metrics."),
    Option("web.max-connections", COUNT, "512", "web", "max_connections",
           "Connections at once, and no more than the reserve of files allows; beyond, the least useful "
           "one is closed."),
    Option("web.max-connections-per-address", COUNT, "256", "web", "max_connections_per_address",
           "The same for connections from one address."),
    Option("web.request-timeout", INTERVAL, "10s", "web", "request_timeout_s",
           "Longest time for a whole request to arrive, and for a TLS handshake."),
    Option("web.idle-timeout", INTERVAL, "6m", "web", "idle_timeout_s",
           "Longest time that a connection may wait for its next request."),
    Option("web.write-timeout", INTERVAL, "10s", "web", "write_timeout_s",
           "Longest time in which a client may take nothing of an answer."),
    Option("web.answer-timeout", INTERVAL, "2m", "web", "answer_timeout_s",
           "Longest time that one answer may take."),
    Option("web.max-request-bytes", COUNT, "65536", "web", "max_request_bytes",
           "Bytes of a request's head, and of its body."),
    Option("web.old-pages-bytes", COUNT, "268435456", "web", "old_pages_bytes",
           "Memory for pages that were replaced while slow clients read them; beyond, those clients are "
           "closed."),
    Option("web.max-password-checks", COUNT, "8", "web", "max_password_checks",
           "Passwords that may wait for their check against --basic-auth-hash-password; more get 429."),
    Option("page.min-interval", DURATION_OR_ZERO, "1s", "web", "page_min_interval_s",
           "Least time between two builds of that page."),
    Option("page.max-selections", COUNT, "256", "web", "page_max_selections",
           "How many pages with part, group or name[] are kept; one client address has half of them."),
    Option("page.max-selections-bytes", COUNT, "67108864", "web", "page_max_selections_bytes",
           "Memory that those pages take together; beyond it, those that nobody scrapes regularly are "
           "built when asked for."),
    Option("health.strict", BOOL, "false", "web", "health_strict",
           "Answer 503 on /health when no server can be reached."),
    Option("disable-scrape-endpoint", BOOL, "false", "web", "disable_scrape_endpoint",
           "Answer 404 on /scrape."),
    Option("cluster-discover-hostnames", BOOL, "false", "web", "cluster_discover_hostnames",
           "Answer /discover-cluster-nodes with the host names that nodes announce."),
    Option("tls-server-key-file", FILE, "", "web", "tls_server_key_file",
           "Private key to serve HTTPS with; needs the certificate too."),
    Option("tls-server-cert-file", FILE, "", "web", "tls_server_cert_file",
           "Certificate to serve HTTPS with; needs the key too."),
    Option("tls-server-ca-cert-file", FILE, "", "web", "tls_server_ca_cert_file",
           "Authorities that must have signed a client's certificate."),
    Option("tls-server-min-version", choice("TLS1.0", "TLS1.1", "TLS1.2", "TLS1.3"), "TLS1.2", "web",
           "tls_server_min_version",
           "Oldest version of TLS to serve."),
    Option("basic-auth-username", CREDENTIAL, "", "web", "basic_auth_username",
           "User that every request must name."),
    Option("basic-auth-password", CREDENTIAL, "", "web", "basic_auth_password",
           "That user's password.", secret=True),
    Option("basic-auth-hash-password", CREDENTIAL, "", "web", "basic_auth_hash_password",
           "The same as a bcrypt hash.", secret=True),
    Option("namespace", ValueType("PREFIX", parse_namespace, empty=True), "redis", "metrics", "namespace",
           "First word of each metric's name."),
    Option("handbook-names", choice("all", "scalar", "none"), "all", "metrics", "handbook_names",
           "Metrics that the handbook names otherwise appear under both names: all, those without labels, "
           "none."),
    Option("target-labels", choice("auto", "always", "never"), "auto", "metrics", "target_labels",
           "Where series bear the server's labels; auto: on the telemetry path, not on /scrape."),
    Option("max-label-length", COUNT, "1024", "metrics", "max_label_length",
           "Bytes after which a label's value is cut."),
    Option("include-system-metrics", BOOL, "false", "metrics", "include_system_metrics",
           "Add the memory of the server's host.",
           env="REDIS_EXPORTER_INCL_SYSTEM_METRICS"),
    Option("include-metrics-for-empty-databases", BOOL, "true", "metrics",
           "include_metrics_for_empty_databases",
           "Write zeros for databases without keys.", env="REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES"),
    Option("include-config-metrics", BOOL, "false", "metrics", "include_config_metrics",
           "Export every key of the configuration.",
           env="REDIS_EXPORTER_INCL_CONFIG_METRICS"),
    Option("redact-config-metrics", BOOL, "true", "metrics", "redact_config_metrics",
           "Leave secrets out of those."),
    Option("include-rdb-file-size-metric", BOOL, "false", "metrics", "include_rdb_file_size_metric",
           "Export the size of the dump, where it lies on the exporter's own host.", env="REDIS_EXPORTER_INCL_RDB_FILE_SIZE_METRIC"),
    Option("exclude-latency-histogram-metrics", BOOL, "false", "metrics", "exclude_latency_histogram_metrics",
           "Ask for neither LATENCY LATEST nor LATENCY HISTOGRAM."),
    Option("export-client-list", BOOL, "false", "metrics", "export_client_list",
           "Export each client of CLIENT LIST."),
    Option("export-client-port", BOOL, "false", "metrics", "export_client_port",
           "Label each client with its port too."),
    Option("client-list-by", choices("name", "user", "lib-name", "cmd", "db", "flags"), "", "metrics",
           "client_list_by",
           "Count clients by any of name, user, lib-name, cmd, db, flags."),
    Option("client-list.max-clients", COUNT, "5000", "metrics", "client_list_max_clients",
           "With more clients than this CLIENT LIST is not asked for: it would hold the server up."),
    Option("include-memory-stats-metrics", BOOL, "false", "metrics", "include_memory_stats_metrics",
           "Export MEMORY STATS."),
    Option("include-acl-log-metrics", BOOL, "false", "metrics", "include_acl_log_metrics",
           "Count denials of ACL LOG by reason and user."),
    Option("include-modules-metrics", BOOL, "false", "metrics", "include_modules_metrics",
           "Export INFO MODULES.",
           env="REDIS_EXPORTER_INCL_MODULES_METRICS"),
    Option("include-search-indexes-metrics", BOOL, "false", "metrics", "include_search_indexes_metrics",
           "Export the search indexes.",
           env="REDIS_EXPORTER_INCL_SEARCH_INDEXES_METRICS"),
    Option("check-search-indexes", ValueType("REGEX", partial(NamePattern, flag="--check-search-indexes")), ".*",
           "metrics",
           "check_search_indexes", "Regular expression that those indexes' names match."),
    Option("include-sentinel-peer-info", BOOL, "false", "metrics", "include_sentinel_peer_info",
           "Export each other Sentinel of a Sentinel.",
           env="REDIS_EXPORTER_INCL_SENTINEL_PEER_INFO"),
    Option("include-cluster-node-metrics", BOOL, "true", "metrics", "include_cluster_node_metrics",
           "Export each node that a cluster node knows."),
    Option("append-instance-role-label", BOOL, "false", "metrics", "append_instance_role_label",
           "Label every series of a server with its role, as instance_role."),
    Option("export-unknown-info", BOOL, "false", "metrics", "export_unknown_info",
           "Export numbers of INFO that have no metric of their own, as redis_info_ and the field's name; "
           "256 names at most."),
    Option("metrics.allow", NAME_PATTERNS, "", "metrics", "allow",
           "Names of metrics to export, with * and ?; empty: all."),
    Option("metrics.deny", NAME_PATTERNS, "", "metrics", "deny",
           "Names of metrics not to export, with * and ?."),
    Option("max-series-per-target", COUNT, "10000", "metrics", "max_series_per_target",
           "Series of one server beyond which new ones are refused."),
    Option("max-series-per-family", COUNT, "5000", "metrics", "max_series_per_family",
           "The same for one metric of one server."),
    Option("export-timestamps", BOOL, "false", "metrics", "export_timestamps",
           "Give each sample the time of its poll."),
    Option("redis-only-metrics", BOOL, "false", "metrics", "redis_only_metrics",
           "Leave out the metrics of the exporter's own process.",
           aliases=("redis-metrics-only",)),
    Option("include-go-runtime-metrics", BOOL, "false", "metrics", "include_go_runtime_metrics",
           "Add the metrics of this process's runtime: Python's, for there is no Go."),
    Option("check-keys", KEYS, "", "keys", "check_keys",
           "Keys to export size and value of; patterns are found by SCAN.", repeatable=True),
    Option("check-single-keys", KEYS, "", "keys", "check_single_keys",
           "The same for keys as they are written, never patterns.", repeatable=True),
    Option("count-keys", KEYS, "", "keys", "count_keys", "Patterns to count the keys of.", repeatable=True),
    Option("check-streams", KEYS, "", "keys", "check_streams",
           "Streams to export; patterns are found by SCAN.", repeatable=True),
    Option("check-single-streams", KEYS, "", "keys", "check_single_streams",
           "The same for streams as they are written.", repeatable=True),
    Option("streams-exclude-consumer-metrics", BOOL, "false", "keys", "streams_exclude_consumer_metrics",
           "Leave out the consumers of streams."),
    Option("check-key-groups", LUA_PATTERNS, "", "keys", "check_key_groups",
           "Lua patterns, a CSV record: all keys are counted by what the first that fits captures."),
    Option("max-distinct-key-groups", INTEGER, "100", "keys", "max_distinct_key_groups",
           "Groups of one database beyond which the smallest are summed up; 0 or less: all are."),
    Option("check-keys-batch-size", COUNT, "1000", "keys", "check_keys_batch_size", "COUNT of each SCAN."),
    Option("disable-exporting-key-values", BOOL, "false", "keys", "disable_exporting_key_values",
           "Export no values of keys."),
    Option("skip-checkkeys-for-role-master", BOOL, "false", "keys", "skip_checkkeys_for_role_master",
           "Look for keys, streams and groups on replicas only."),
    Option("missing-keys", choice("zero", "absent"), "zero", "keys", "missing_keys",
           "What redis_key_size of a single key that is not there is."),
    Option("max-keys-per-pattern", COUNT, "1000", "keys", "max_keys_per_pattern",
           "Keys of one pattern beyond which no more are exported."),
    Option("scan.budget-keys", LARGE_COUNT, "10000000", "keys", "scan_budget_keys",
           "Keys of one server that one round of SCAN looks at."),
    Option("scan.budget-time", INTERVAL, "30s", "keys", "scan_budget_time_s",
           "Time that one round of SCAN of one server takes at most."),
    Option("script", FILES, "", "keys", "script", "Lua files whose results are exported.", repeatable=True),
    Option("lua-script-read-only", BOOL, "false", "keys", "lua_script_read_only",
           "Run the scripts with EVAL_RO."),
    Option("files.max-bytes", COUNT, "8388608", "files", "max_bytes",
           "Size of a file (targets, passwords, scripts, certificates) beyond which it is refused."),
    Option("files.timeout", INTERVAL, "10s", "files", "timeout_s",
           "Longest time that reading a file may take."),
    Option("debug", BOOL, "false", "log", "debug", "Log everything, whatever --log-level says."),
    Option("verbose", BOOL, "false", "log", "verbose", "Log more than usual about each server."),
    Option("log-level", choice("DEBUG", "INFO", "WARN", "WARNING", "ERROR", upper=True, otherwise="INFO"),
           "INFO",
           "log",
           "level",
           "Least level to log."),
    Option("log-format", choice("txt", "json", otherwise="txt"), "txt", "log", "format",
           "Log lines as text, or as one JSON object each."),
    Option("print-config", BOOL, "false", "run", "print_config",
           "Print every option's value and where it comes from, and end."),
    Option("version", BOOL, "false", "run", "version", "Print the version and end.", env=None),
    Option("help", BOOL, "false", "run", "help", "Print this text and end.", env=None, aliases=("h",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """The servers and how to connect to them. `addr_given`: a flag or variable named addresses, or named
    none on purpose."""

    addr: tuple[str, ...] = field(repr=False)
    addr_given: bool
    user: str
    password: str = field(repr=False)
    password_file: str
    file: str
    connection_timeout_s: float
    scrape_timeout_s: float
    connection_max_age_s: float
    dns_max_lookups: int
    discover_allow: Allowance | None
    set_client_name: bool
    ping_on_connect: bool
    config_command: str
    is_cluster: bool
    is_tile38: bool
    is_sentinel: bool
    tls_client_key_file: str
    tls_client_cert_file: str
    tls_ca_cert_file: str
    tls_server_name: str
    skip_tls_verification: bool


@dataclass(frozen=True, slots=True)
class PollOptions:
    """When to poll. The lanes' intervals are as configured: see `lanes`. `max_age_s` 0: the rule of the
    lane."""

    interval_s: float
    standard_interval_s: float
    slow_interval_s: float
    scan_interval_s: float
    align: str
    follow: bool
    max_in_flight: int
    max_dials: int
    max_backoff_s: float
    reply_max_bytes: int
    reply_max_elements: int
    reply_max_rows: int
    max_age_s: float
    max_age_floor_s: float
    stale_policy: str


@dataclass(frozen=True, slots=True)
class WebOptions:
    listen_address: str
    telemetry_path: str
    max_connections: int
    max_connections_per_address: int
    request_timeout_s: float
    idle_timeout_s: float
    write_timeout_s: float
    answer_timeout_s: float
    max_request_bytes: int
    old_pages_bytes: int
    max_password_checks: int
    page_min_interval_s: float
    page_max_selections: int
    page_max_selections_bytes: int
    health_strict: bool
    disable_scrape_endpoint: bool
    cluster_discover_hostnames: bool
    tls_server_key_file: str
    tls_server_cert_file: str
    tls_server_ca_cert_file: str
    tls_server_min_version: str
    basic_auth_username: str
    basic_auth_password: str = field(repr=False)
    basic_auth_hash_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    namespace: str
    handbook_names: str
    target_labels: str
    max_label_length: int
    include_system_metrics: bool
    include_metrics_for_empty_databases: bool
    include_config_metrics: bool
    redact_config_metrics: bool
    include_rdb_file_size_metric: bool
    exclude_latency_histogram_metrics: bool
    export_client_list: bool
    export_client_port: bool
    client_list_by: tuple[str, ...]
    client_list_max_clients: int
    include_memory_stats_metrics: bool
    include_acl_log_metrics: bool
    include_modules_metrics: bool
    include_search_indexes_metrics: bool
    check_search_indexes: NamePattern
    include_sentinel_peer_info: bool
    include_cluster_node_metrics: bool
    append_instance_role_label: bool
    export_unknown_info: bool
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    max_series_per_target: int
    max_series_per_family: int
    export_timestamps: bool
    redis_only_metrics: bool
    include_go_runtime_metrics: bool


@dataclass(frozen=True, slots=True)
class KeysOptions:
    """What to look at among the data itself."""

    check_keys: tuple[KeyName, ...]
    check_single_keys: tuple[KeyName, ...]
    count_keys: tuple[KeyName, ...]
    check_streams: tuple[KeyName, ...]
    check_single_streams: tuple[KeyName, ...]
    streams_exclude_consumer_metrics: bool
    check_key_groups: tuple[str, ...]
    max_distinct_key_groups: int
    check_keys_batch_size: int
    disable_exporting_key_values: bool
    skip_checkkeys_for_role_master: bool
    missing_keys: str
    max_keys_per_pattern: int
    scan_budget_keys: int
    scan_budget_time_s: float
    script: tuple[ScriptFile, ...]
    lua_script_read_only: bool


@dataclass(frozen=True, slots=True)
class LogOptions:
    debug: bool
    verbose: bool
    level: str  # upper case
    format: str


@dataclass(frozen=True, slots=True)
class RunOptions:
    version: bool
    help: bool
    print_config: bool


class Setting(NamedTuple):
    """The text of one value, and where it stands: `flag`, `environment` or `default`."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Options:
    """Every value, by group. `settings` are their texts by flag, secrets included."""

    redis: RedisOptions
    poll: PollOptions
    web: WebOptions
    metrics: MetricsOptions
    keys: KeysOptions
    files: FileLimits
    log: LogOptions
    run: RunOptions
    settings: Mapping[str, Setting] = field(repr=False)


class Row(NamedTuple):
    """One option as the docs list it; `value` is the form of the value, "" for a boolean."""

    group: str
    flag: str
    value: str
    default: str
    variable: str
    help: str
    aliases: tuple[str, ...]


def rows() -> list[Row]:
    """Every option, in the order of the table."""
    return [
        Row(GROUPS[o.group], o.flag, o.form.value_name, o.default, o.variable or "", o.help, o.aliases)
        for o in OPTIONS
    ]
