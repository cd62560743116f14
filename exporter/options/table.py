"""The one table of options: each field is a row. Flags, variables, help, docs and `--print-config` derive
from it.

Names, variables and defaults of the options that the Go exporter has are the same as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from exporter.files import FileLimits
from exporter.options.collector_intervals import COLLECTOR_INTERVALS
from exporter.options.config_file import ConfigFile
from exporter.options.metrics_options import KeysOptions, MetricsOptions
from exporter.options.option import Option, Setting, flag, group, options_in
from exporter.options.redis_options import RedisOptions
from exporter.options.target_options import TargetOptions
from exporter.options.values import (
    BOOL,
    COUNT,
    CREDENTIAL,
    DURATION_OR_ZERO,
    FILE,
    INTERVAL,
    LANE_INTERVAL,
    ValueType,
    choice,
    parse_listen_address,
    parse_path,
)


# fmt: off
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
    thrifty: bool = flag("poll.thrifty", BOOL, "true",
        "Ask servers for less. true: the fast lane asks for the sections of INFO that move all the time, "
        "from Redis 7.0 on, and the standard lane for the others; latencystats and LATENCY HISTOGRAM come "
        "with every second turn of the slow lane. false: INFO with the fast lane, latencystats with the "
        "standard one, LATENCY HISTOGRAM with every turn of the slow one.")
    collector_intervals: tuple[tuple[str, float], ...] = flag(
        "poll.collector-intervals", COLLECTOR_INTERVALS, "",
        "Collectors that run less often than their lane, such as latency_histogram=10m. Their intervals are "
        "whole multiples of the lane's.", per_target=True)
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
    ease_off: bool = flag("poll.ease-off", BOOL, "true",
        "Poll the standard, slow and scan lane of a target less often while it struggles: it loads its data, "
        "a fork took long, it does not answer, or it answers slowly.", per_target=True)
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
        "web.listen-address", ValueType("[HOST]:PORT|unix:PATH|fd://[NAME]", parse_listen_address), ":9121",
        "Address to listen on for HTTP. Without a host: every interface. unix: a socket's file, with the "
        "rights that the umask leaves. fd: the sockets that systemd opened, all or those of a name.")
    telemetry_path: str = flag("web.telemetry-path", ValueType("PATH", parse_path), "/metrics",
        "Path of the page with the metrics of all targets.")
    config_file: str = flag("web.config.file", FILE, "",
        "File with TLS, users, headers and a rate limit of the endpoint, as Prometheus and its exporters "
        "have it (exporter-toolkit). It is read again when it changes.")
    open_probes: bool = flag("web.open-probes", BOOL, "false",
        "Answer /health, /-/healthy and /-/ready without a password and without a rate limit.")
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
        "How many passwords may wait for their check against a bcrypt hash. More get 429.")
    max_csv_bytes: int = flag("web.max-csv-bytes", COUNT, "16777216",
        "Largest table that /api/v1/targets.csv gives, in bytes. A larger one gets 400, and what to ask for "
        "instead.")
    page_min_interval_s: float = flag("page.min-interval", DURATION_OR_ZERO, "1s",
        "Shortest time between two builds of the page of all targets.")
    page_max_selections: int = flag("page.max-selections", COUNT, "256",
        "How many pages with part, group or name[] are kept. One client address may have half of them.")
    page_max_selections_bytes: int = flag("page.max-selections-bytes", COUNT, "67108864",
        "Memory for the pages with part, group or name[]. Beyond it, only pages that are scraped regularly "
        "are built ahead.")
    health_strict: bool = flag("health.strict", BOOL, "false",
        "Answer 503 on /health when no target can be reached.")
    enable_lifecycle: bool = flag("web.enable-lifecycle", BOOL, "false",
        "Allow requests that change what is polled: /api/v1/targets/NAME/pause.")
    enable_reload: bool = flag("web.enable-reload", BOOL, "true",
        "Allow requests for a reload: /-/reload. Without it SIGHUP and --watch still reload.")
    enable_trace: bool = flag("web.enable-trace", BOOL, "true",
        "Allow traced polls from the page of a target, where /scrape is allowed too.")
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
        "Show every option's value and where it comes from, and exit.", in_file=False)
    version: bool = flag("version", BOOL, "false", "Show the version and exit.", env=None,
        in_file=False)
    help: bool = flag("help", BOOL, "false",
        "Show this help and exit.", env=None, aliases=("h",), in_file=False)


# fmt: on
@dataclass(frozen=True, slots=True)
class Options:
    """Every value, by group. `settings` are their texts by flag, secrets included. `config_files` are those
    that were read: what is wrong with their options is among their faults, which `load_targets` raises."""

    redis: RedisOptions = group("Redis", RedisOptions)
    targets: TargetOptions = group("Targets", TargetOptions)
    poll: PollOptions = group("Polling", PollOptions)
    web: WebOptions = group("Pages", WebOptions, reloadable=False)
    metrics: MetricsOptions = group("Metrics", MetricsOptions)
    keys: KeysOptions = group("Keys, streams and scripts", KeysOptions)
    files: FileOptions = group("Files", FileOptions)
    log: LogOptions = group("Logging", LogOptions, reloadable=False)
    run: RunOptions = group("This command", RunOptions, reloadable=False)
    settings: Mapping[str, Setting] = field(default_factory=dict, repr=False)
    config_files: tuple[ConfigFile, ...] = field(default=(), repr=False, compare=False)

    @property
    def addr_given(self) -> bool:
        """Whether a flag or variable named targets, or no target on purpose."""
        return "redis.addr" in self.settings and self.settings["redis.addr"].source != "default"


OPTIONS: tuple[Option, ...] = tuple(options_in(Options))
