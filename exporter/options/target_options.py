"""The options about targets that come, change and go while the exporter runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from exporter.node_allowance import Allowance
from exporter.options.option import flag
from exporter.options.source_values import FILE_PATTERNS, URLS
from exporter.options.values import (
    BOOL,
    COUNT,
    DURATION_OR_ZERO,
    FILE,
    INTERVAL,
    SCRAPE_ALLOWANCE,
    ValueType,
    choices,
    int_from,
)

#: which of its neighbours a target names, so that they are polled too
Discover = Literal["", "cluster", "sentinel", "replicas"]
DISCOVER: dict[str, Discover] = {
    "none": "",
    "cluster": "cluster",
    "sentinel": "sentinel",
    "replicas": "replicas",
}


def parse_discover(text: str) -> Discover:
    """One of the words of `DISCOVER`."""
    if text not in DISCOVER:
        raise ValueError(f"write one of {', '.join(DISCOVER)}")
    return DISCOVER[text]


DISCOVER_MODE = ValueType("|".join(DISCOVER), parse_discover, words=tuple(DISCOVER))

#: the index of a shard that follows from the name of the pod
AUTO = "auto"


def parse_shard_index(text: str) -> int | str | None:
    """A number from 0, or the word `auto`; None for an empty text."""
    if text in ("", AUTO):
        return text or None
    try:
        return int_from(0)(text)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


# fmt: off
@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Where targets come from besides the flags, and what becomes of them."""

    discover: Discover = flag("discover", DISCOVER_MODE, "none",
        "Poll the neighbours that the targets in --redis.addr name too. cluster: the nodes of their cluster. "
        "sentinel: the masters, replicas and Sentinels that a Sentinel knows. replicas: a master's replicas, "
        "a replica's master and its other replicas.")
    discover_interval_s: float = flag("discover.interval", INTERVAL, "30s",
        "Within which time discovered targets follow a failover, or nodes that come and go.")
    discover_grace_s: float = flag("discover.grace", DURATION_OR_ZERO, "5m",
        "How long a discovered target stays after nobody names it any longer.")
    discover_labels: tuple[str, ...] = flag("discover.labels",
        choices("cluster", "shard", "role", "node_id", "master_name"), "cluster,shard,node_id,master_name",
        "Labels of the series of discovered targets, where their values are known. role changes at each "
        "failover, and all series of the target with it.")
    watch: bool = flag("watch", BOOL, "false",
        "Reload when a file changes that was read: targets, passwords, scripts.", reloadable=False)
    file_sd: tuple[str, ...] = flag("targets.file-sd", FILE_PATTERNS, "",
        "Files of targets in the form of Prometheus' file_sd: .json, .yml or .yaml, the last part with "
        "wildcards if you like. They are followed as they change.", repeatable=True)
    http_sd: tuple[str, ...] = flag("targets.http-sd", URLS, "",
        "URLs that answer with targets in the form of Prometheus' http_sd.", repeatable=True)
    refresh_interval_s: float = flag("targets.refresh-interval", INTERVAL, "60s",
        "How often --targets.http-sd is asked, and the files of --targets.file-sd are read at least.")
    shard_index: int | str | None = flag(
        "shard.index", ValueType("N|auto", parse_shard_index, empty=True), "",
        "Poll only the targets of this shard, of --shard.total. The first one is 0. auto: the number at the "
        "end of the host name, as the pods of a StatefulSet have it. Empty: poll all targets.")
    shard_total: int = flag("shard.total", ValueType("SHARDS", int_from(1)), "1",
        "How many exporters share the targets. All of them need the same number and the same targets.")
    state_file: str = flag("state.file", FILE, "",
        "File that a stop writes the newest values, counters and phases to, and that the next start goes on "
        "from. It holds no credentials.", reloadable=False)
    state_max_age_s: float = flag("state.max-age", INTERVAL, "5m",
        "How old a state file may be that a start goes on from.", reloadable=False)
    scrape_allow: Allowance | None = flag("scrape.allow", SCRAPE_ALLOWANCE, "",
        "Targets that /scrape?target= may name though nobody configured them: networks, addresses, host "
        "names with *. Empty: none; but any, with few credentials, if --redis.addr is set and empty.")
    scrape_forget_after_s: float = flag("scrape.forget-after", DURATION_OR_ZERO, "0s",
        "Stop polling such a target when no request has named it for this time. 0s: ten of its intervals, at "
        "least 5m.")
    scrape_max_targets: int = flag("scrape.max-targets", COUNT, "10000",
        "How many such targets may be polled at once. Beyond it, /scrape answers 503 for further ones.")
    scrape_on_page: bool = flag("scrape.on-page", BOOL, "false",
        "Show such targets on the page of all targets too.", reloadable=False)
