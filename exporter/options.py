"""The one table of options. Flags, variables, help, docs and `--print-config` are all derived from it.

Names, variables and defaults of the options that the Go exporter has are that program's. The syntax is that of Go's
`flag` package: `-x`, `--x`, `--x=v`, `--x v`, booleans `--x` or `--x=false`. The command line wins over the environment,
which wins over the default.
"""

from __future__ import annotations

import difflib
import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from exporter.errors import ConfigError, UsageError
from exporter.forms import (
    ADDRESSES,
    BOOL,
    COUNT,
    DURATION_OR_ZERO,
    FALSE_WORDS,
    FILE,
    INTERVAL,
    LANE_INTERVAL,
    TEXT,
    TRUE_WORDS,
    Form,
    choice,
    parse_listen_address,
    parse_namespace,
    parse_path,
)
from exporter.model import Lane

HELP_COLUMNS = 100
_FLAG = re.compile(r"--?(?P<name>[A-Za-z][A-Za-z0-9._-]*)(?:=(?P<value>.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Option:
    """One row. `default` is text as one would write it; `env` None: no variable, "": derived from the flag's name."""

    flag: str
    form: Form
    default: str
    group: str
    attribute: str
    help: str
    env: str | None = ""
    secret: bool = False
    repeatable: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def variable(self) -> str | None:
        """Name of the environment variable, None where there is none."""
        if self.env is None or self.env:
            return self.env
        return "REDIS_EXPORTER_" + self.flag.upper().replace(".", "_").replace("-", "_")


_TITLES = {
    "redis": "Redis",
    "poll": "Polling",
    "web": "Pages",
    "metrics": "Metrics",
    "log": "Logging",
    "run": "This command",
}

OPTIONS: tuple[Option, ...] = (
    Option("redis.addr", ADDRESSES, "redis://localhost:6379", "redis", "addr",
           "Servers to watch, with redis:// rediss:// valkey:// valkeys:// tcp:// or unix://; empty: none.",
           env="REDIS_ADDR", repeatable=True),
    Option("redis.user", TEXT, "", "redis", "user",
           "ACL user for the servers of --redis.addr: one for all, or a comma list with one for each.", env="REDIS_USER"),
    Option("redis.password", TEXT, "", "redis", "password",
           "Password for the servers of --redis.addr: one for all, or a comma list with one for each.", env="REDIS_PASSWORD", secret=True),
    Option("redis-file", FILE, "", "redis", "file", "YAML file of servers with names, passwords and labels (redis_instances)."),
    Option("connection-timeout", INTERVAL, "15s", "redis", "connection_timeout_s", "Longest time that connecting or one poll may take."),
    Option("scrape-timeout", INTERVAL, "30s", "redis", "scrape_timeout_s", "Longest time for a whole poll or a scrape on demand."),
    Option("connection-max-age", INTERVAL, "10m", "redis", "connection_max_age_s",
           "Age at which a kept connection is made anew, which proves that connecting still works."),
    Option("set-client-name", BOOL, "true", "redis", "set_client_name", "Name the connections redis_exporter in CLIENT LIST."),
    Option("is-sentinel", BOOL, "false", "redis", "is_sentinel", "Accepted for compatibility: a Sentinel is recognised by itself."),
    Option("tls-client-key-file", FILE, "", "redis", "tls_client_key_file", "Private key shown to the servers; needs the certificate too."),
    Option("tls-client-cert-file", FILE, "", "redis", "tls_client_cert_file", "Certificate shown to the servers; needs the key too."),
    Option("tls-ca-cert-file", FILE, "", "redis", "tls_ca_cert_file", "Authorities to trust instead of the system's own."),
    Option("tls-server-name", TEXT, "", "redis", "tls_server_name", "Name to ask for and to verify instead of the address's host."),
    Option("skip-tls-verification", BOOL, "false", "redis", "skip_tls_verification", "Accept whatever certificate a server shows."),
    Option("poll.interval", INTERVAL, "5s", "poll", "interval_s", "Time between two polls of the fast lane: INFO and what is as cheap."),
    Option("poll.standard-interval", LANE_INTERVAL, "15s", "poll", "standard_interval_s",
           "The same for the standard lane: statistics by command; a whole multiple of the fast one."),
    Option("poll.slow-interval", LANE_INTERVAL, "60s", "poll", "slow_interval_s",
           "The same for the slow lane: configuration, clients, histograms; a whole multiple of the fast one."),
    Option("poll.scan-interval", LANE_INTERVAL, "5m", "poll", "scan_interval_s", "The same for all that needs SCAN."),
    Option("poll.max-in-flight", COUNT, "256", "poll", "max_in_flight", "How many polls may be under way at once, all servers together."),
    Option("poll.max-backoff", INTERVAL, "30s", "poll", "max_backoff_s", "Longest pause before a server that is down is tried again."),
    Option("max-age", DURATION_OR_ZERO, "0s", "poll", "max_age_s",
           "Age at which values count as stale; 0s: three intervals of their lane and its deadline."),
    Option("stale-policy", choice("drop", "serve", "fail"), "drop", "poll", "stale_policy",
           "Stale values are dropped, served on, or dropped with 503 from /scrape."),
    Option("web.listen-address", Form("[HOST]:PORT", parse_listen_address, empty=True), ":9121", "web", "listen_address",
           "Where to listen for HTTP; without a host on every interface."),
    Option("web.telemetry-path", Form("PATH", parse_path, empty=True), "/metrics", "web", "telemetry_path",
           "Path of the page that holds every server's metrics."),
    Option("page.min-interval", DURATION_OR_ZERO, "1s", "web", "page_min_interval_s", "Least time between two builds of that page."),
    Option("health.strict", BOOL, "false", "web", "health_strict", "Answer 503 on /health when no server can be reached."),
    Option("disable-scrape-endpoint", BOOL, "false", "web", "disable_scrape_endpoint", "Answer 404 on /scrape."),
    Option("namespace", Form("PREFIX", parse_namespace, empty=True), "redis", "metrics", "namespace", "First word of each metric's name."),
    Option("handbook-names", choice("all", "scalar", "none"), "all", "metrics", "handbook_names",
           "Metrics that the handbook names otherwise appear under both names: all, those without labels, none."),
    Option("target-labels", choice("auto", "always", "never"), "auto", "metrics", "target_labels",
           "Where series bear the server's labels; auto: on the telemetry path, not on /scrape."),
    Option("max-label-length", COUNT, "1024", "metrics", "max_label_length", "Bytes after which a label's value is cut."),
    Option("include-system-metrics", BOOL, "false", "metrics", "include_system_metrics", "Add the memory of the server's host.",
           env="REDIS_EXPORTER_INCL_SYSTEM_METRICS"),
    Option("include-metrics-for-empty-databases", BOOL, "true", "metrics", "include_metrics_for_empty_databases",
           "Write zeros for databases without keys.", env="REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES"),
    Option("export-timestamps", BOOL, "false", "metrics", "export_timestamps", "Give each sample the time of its poll."),
    Option("redis-only-metrics", BOOL, "false", "metrics", "redis_only_metrics", "Leave out the metrics of the exporter's own process.",
           aliases=("redis-metrics-only",)),
    Option("debug", BOOL, "false", "log", "debug", "Log everything, whatever --log-level says."),
    Option("verbose", BOOL, "false", "log", "verbose", "Log more than usual about each server."),
    Option("log-level", choice("DEBUG", "INFO", "WARN", "WARNING", "ERROR", upper=True), "INFO", "log", "level", "Least level to log."),
    Option("log-format", choice("txt", "json"), "txt", "log", "format", "Log lines as text, or as one JSON object each."),
    Option("print-config", BOOL, "false", "run", "print_config", "Print every option's value and where it comes from, and end."),
    Option("version", BOOL, "false", "run", "version", "Print the version and end.", env=None),
    Option("help", BOOL, "false", "run", "help", "Print this text and end.", env=None, aliases=("h",)),
)  # fmt: skip

_BY_NAME = {name: option for option in OPTIONS for name in (option.flag, *option.aliases)}


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """The servers and how to connect to them. `addr_given`: a flag or variable named addresses, or named none on purpose."""

    addr: tuple[str, ...] = field(repr=False)
    addr_given: bool
    user: str
    password: str = field(repr=False)
    file: str
    connection_timeout_s: float
    scrape_timeout_s: float
    connection_max_age_s: float
    set_client_name: bool
    is_sentinel: bool
    tls_client_key_file: str
    tls_client_cert_file: str
    tls_ca_cert_file: str
    tls_server_name: str
    skip_tls_verification: bool


@dataclass(frozen=True, slots=True)
class PollOptions:
    """When to poll. The lanes' intervals are as configured: see `lanes`. `max_age_s` 0: the rule of the lane."""

    interval_s: float
    standard_interval_s: float
    slow_interval_s: float
    scan_interval_s: float
    max_in_flight: int
    max_backoff_s: float
    max_age_s: float
    stale_policy: str


@dataclass(frozen=True, slots=True)
class WebOptions:
    listen_address: str
    telemetry_path: str
    page_min_interval_s: float
    health_strict: bool
    disable_scrape_endpoint: bool


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    namespace: str
    handbook_names: str
    target_labels: str
    max_label_length: int
    include_system_metrics: bool
    include_metrics_for_empty_databases: bool
    export_timestamps: bool
    redis_only_metrics: bool


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
    log: LogOptions
    run: RunOptions
    settings: Mapping[str, Setting] = field(repr=False)


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Read the arguments (without the program's name) and the environment.

    Raises UsageError for what cannot be read and ConfigError for values that do not go together, with every problem
    on a line of its own. Whoever asks for help or the version gets it, whatever else is wrong.
    """
    problems: list[str] = []
    settings = {option.flag: Setting(option.default, "default") for option in OPTIONS}
    for option in OPTIONS:
        text = environ.get(option.variable) if option.variable else None
        if text is not None and (text or option.form.empty):
            settings[option.flag] = Setting(text, "environment")
    settings.update(_read_flags(argv, problems))
    values = {option.flag: _read_value(option, settings[option.flag], problems) for option in OPTIONS}
    options = _group(values, settings)
    if options.run.help or options.run.version:
        return options
    conflicts = list(_conflicts(options))
    if problems:
        raise UsageError("\n".join([*problems, *conflicts]))
    if conflicts:
        raise ConfigError(*conflicts)
    return options


def _read_flags(argv: Sequence[str], problems: list[str]) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    rest = iter(enumerate(argv, 1))
    previous: Option | None = None
    for position, argument in rest:
        match = _FLAG.match(argument)
        if match is None:
            # the argument is not shown: it may be the second half of a password
            of_bool = previous is not None and previous.form is BOOL and argument in TRUE_WORDS + FALSE_WORDS
            hint = f"write --{previous.flag}={argument}" if previous and of_bool else "flags begin with -"
            problems.append(f"argument {position} belongs to no flag: {hint}")
            previous = None
            continue
        name, text = match["name"], match["value"]
        option = previous = _BY_NAME.get(name)
        if option is None:
            problems.append(f"unknown flag --{name}{_nearest(name)}")
            _skip_value(argv, position, text, rest)
            continue
        if text is None and option.form is BOOL:
            text = "true"
        elif text is None:
            _, text = next(rest, (0, None))
            previous = None
            if text is None or (option.form not in (TEXT, FILE) and text != "" and _FLAG.match(text)):
                problems.append(f"--{name} needs a value: write --{name}={option.form.value_name}")
                continue
        before = found.get(option.flag) if option.repeatable else None
        found[option.flag] = Setting(f"{before.text},{text}" if before and before.text else text, "flag")
    return found


def _skip_value(argv: Sequence[str], position: int, text: str | None, rest: Iterator[tuple[int, str]]) -> None:
    """What follows an unknown flag is taken for its value: one mistake, one line."""
    if text is None and position < len(argv) and not argv[position].startswith("-"):
        next(rest)


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.7)
    return f": did you mean --{near[0]}?" if near else ": --help lists them all"


def _read_value(option: Option, setting: Setting, problems: list[str]) -> Any:
    try:
        return option.form.parse(setting.text)
    except ValueError as error:
        name = option.variable if setting.source == "environment" else f"--{option.flag}"
        problems.append(f"{name}={textwrap.shorten(setting.text, 80, placeholder='…')}: {error}")
        return option.form.parse(option.default)


def _group(values: Mapping[str, Any], settings: Mapping[str, Setting]) -> Options:
    groups: dict[str, dict[str, Any]] = {group: {} for group in _TITLES}
    for option in OPTIONS:
        groups[option.group][option.attribute] = values[option.flag]
    interval_s = groups["poll"]["interval_s"]
    poll = {name: interval_s if value is None else value for name, value in groups["poll"].items()}
    return Options(
        RedisOptions(**groups["redis"], addr_given=settings["redis.addr"].source != "default"),
        PollOptions(**poll),
        WebOptions(**groups["web"]),
        MetricsOptions(**groups["metrics"]),
        LogOptions(**groups["log"]),
        RunOptions(**groups["run"]),
        dict(settings),
    )


def _conflicts(options: Options) -> Iterator[str]:
    redis = options.redis
    if bool(redis.tls_client_key_file) != bool(redis.tls_client_cert_file):
        given, missing = ("key", "cert") if redis.tls_client_key_file else ("cert", "key")
        yield f"--tls-client-{given}-file is set alone: set --tls-client-{missing}-file too, or neither"


def lanes(poll: PollOptions) -> dict[Lane, float]:
    """Seconds between two polls of each lane: standard and slow are whole multiples of fast, rounded up."""
    return {
        Lane.FAST: poll.interval_s,
        Lane.STANDARD: _round_up(poll.standard_interval_s, poll.interval_s),
        Lane.SLOW: _round_up(poll.slow_interval_s, poll.interval_s),
        Lane.SCAN: poll.scan_interval_s,
    }


def lane_notes(poll: PollOptions) -> list[str]:
    """What `lanes` changed, one sentence each, for the log at start."""
    rounded = lanes(poll)
    asked = {Lane.STANDARD: poll.standard_interval_s, Lane.SLOW: poll.slow_interval_s}
    return [
        f"the {lane.value} lane runs every {rounded[lane]:g}s, not {wanted:g}s: a whole multiple of the fast lane's {poll.interval_s:g}s"
        for lane, wanted in asked.items()
        if not math.isclose(rounded[lane], wanted)
    ]


def _round_up(interval_s: float, fast_s: float) -> float:
    # 0.3 / 0.1 is a little above 3: what is nearly whole is whole
    times = max(1, math.ceil(interval_s / fast_s - 1e-6))
    return round(times * fast_s, 9)


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
    return [Row(_TITLES[o.group], o.flag, o.form.value_name, o.default, o.variable or "", o.help, o.aliases) for o in OPTIONS]


def help_text() -> str:
    """What `--help` prints, at most `HELP_COLUMNS` wide."""
    lines = ["usage: redis_exporter [flags]", "", "A flag is written -x, --x, --x=value or --x value; a boolean --x or --x=false."]
    lines += ["The command line wins over the environment variable, named in brackets, and that over the default."]
    group = ""
    for row in rows():
        if row.group != group:
            group = row.group
            lines += ["", f"{group}:"]
        names = " ".join(f"{'-' if len(name) == 1 else '--'}{name}" for name in (row.flag, *row.aliases))
        lines.append(f"  {names}{' ' + row.value if row.value else ''}")
        default = f" Default: {row.default}." if row.default else ""
        variable = f" [{row.variable}]" if row.variable else ""
        lines += textwrap.wrap(
            row.help + default + variable, HELP_COLUMNS, initial_indent=" " * 8, subsequent_indent=" " * 8,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(lines) + "\n"


def print_config(options: Options) -> str:
    """One line for each option: its value, and where that comes from. Passwords are masked."""
    lines = []
    for option in OPTIONS:
        text, source = options.settings[option.flag]
        if option.secret and text:
            text = "***"
        elif option.form is ADDRESSES:
            text = _mask_userinfo(text)
        where = f"environment: {option.variable}" if source == "environment" else source
        lines.append(f"--{option.flag}={text}  ({where})")
    return "\n".join(lines) + "\n"


def _mask_userinfo(text: str) -> str:
    """A list of addresses without users and passwords, whatever characters those hold: too much rather than too little."""
    addresses = re.split(r",(?=\s*[a-z]+://)", text, flags=re.IGNORECASE)
    return ",".join(re.sub(r"^(\s*[a-zA-Z]+://)?.*@", r"\1***@", address, flags=re.DOTALL) for address in addresses)
