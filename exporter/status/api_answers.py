"""What the JSON API answers with, as values: the OpenAPI description is made from these classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.status.rows import TargetRow


@dataclass(frozen=True, slots=True)
class TargetList:
    """One page of the table. `total` targets fit the query, on `pages` pages of `size` targets; `page` is the
    last one if the query asks for one behind it. `counts` are of all targets, by state; `stale` of those that
    are up have values that are too old."""

    counts: Mapping[str, int]
    stale: int
    total: int
    page: int
    pages: int
    size: int
    targets: Sequence[TargetRow]


@dataclass(frozen=True, slots=True)
class BuildStatus:
    """From which commit the program is, and what runs it: `engine` is compiled or python."""

    commit: str
    date: str
    python: str
    engine: str


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """How the newest reload ended. `succeeded_at` is when the configuration in use was read, in wall-clock
    seconds."""

    successful: bool
    succeeded_at: float


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """Which of `total` exporters this one is; the first one is 0. `targets` are those of all of them."""

    index: int
    total: int
    targets: int


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What the process uses; null where the system does not say."""

    resident_bytes: int | None
    cpu_seconds: float
    open_files: int | None


@dataclass(frozen=True, slots=True)
class ExporterStatus:
    """The exporter itself. `started_at` is in wall-clock seconds. `counts` are of all targets by state;
    `adopted` of them are polled only because requests ask for them. `is_ready`: every target was tried once,
    or had its time. `shard` is null without shards."""

    version: str
    build: BuildStatus
    started_at: float
    uptime_s: float
    is_ready: bool
    counts: Mapping[str, int]
    adopted: int
    reload: ReloadStatus
    listen_addresses: Sequence[str]
    config_files: Sequence[str]
    shard: ShardStatus | None
    process: ProcessStatus
