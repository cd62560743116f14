"""HOTKEYS GET, on demand: the keys that a session of HOTKEYS found to be used most.

Only an operator starts a session (`HOTKEYS START METRICS 2 CPU NET`): it costs the server time and memory.
The exporter reads the newest one. https://redis.io/docs/latest/commands/hotkeys-get/
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.metrics.family import Family, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command, Reply
from exporter.protocol.facts import Facts

#: keys of one list; a server keeps no more
KEYS_MAX = 64
#: field → family, and the number that a second has of its unit
NUMBERS: Mapping[bytes, tuple[Family, int]] = {
    b"collection-start-time-unix-ms": (
        gauge(
            "hotkeys_start_timestamp_seconds",
            "When the newest HOTKEYS session began, in Unix time.",
            since="8.6",
        ),
        1000,
    ),
    b"collection-duration-ms": (
        gauge("hotkeys_duration_seconds", "How long the newest HOTKEYS session has counted.", since="8.6"),
        1000,
    ),
    b"sample-ratio": (
        gauge(
            "hotkeys_sample_ratio",
            "Of this many commands the newest HOTKEYS session counts one.",
            since="8.6",
        ),
        1,
    ),
    b"all-commands-all-slots-us": (
        gauge(
            "hotkeys_commands_cpu_seconds",
            "CPU time of all commands during the newest HOTKEYS session.",
            since="8.6",
        ),
        1_000_000,
    ),
    b"net-bytes-all-commands-all-slots": (
        gauge(
            "hotkeys_commands_network_bytes",
            "Bytes of all commands during the newest HOTKEYS session.",
            since="8.6",
        ),
        1,
    ),
}
#: field → family of each key, in the same form
KEYS: Mapping[bytes, tuple[Family, int]] = {
    b"by-cpu-time-us": (
        gauge(
            "hotkey_cpu_seconds",
            "CPU time of a key during the newest HOTKEYS session, as the server estimates it.",
            labels=("key",),
            since="8.6",
        ),
        1_000_000,
    ),
    b"by-net-bytes": (
        gauge(
            "hotkey_network_bytes",
            "Bytes of a key during the newest HOTKEYS session, as the server estimates it.",
            labels=("key",),
            since="8.6",
        ),
        1,
    ),
}


class HotkeysCollector(Collector[None]):
    name = "hotkeys"
    help = "The keys that a session of HOTKEYS found to be used most."
    lane = Lane.STANDARD
    acl_where = "Redis 8.6 and later"
    families = (*(family for family, _ in NUMBERS.values()), *(family for family, _ in KEYS.values()))

    def enabled(self, options: Options) -> bool:
        return options.metrics.include_hotkeys_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.flavor == "redis" and facts.version >= (8, 6, 0) and facts.mode != "sentinel"

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+hotkeys|get",)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [reply] = yield [Command.of("HOTKEYS", "GET")]
        raise_failure(reply)
        fields = _fields_of(reply)
        for name, (family, unit) in NUMBERS.items():
            _add(family, fields.get(name), unit, out)
        for name, (family, unit) in KEYS.items():
            pairs = fields.get(name)
            if isinstance(pairs, list):
                out.cut += max(0, len(pairs) // 2 - KEYS_MAX)
                for key, value in list(zip(pairs[::2], pairs[1::2], strict=False))[:KEYS_MAX]:
                    if isinstance(key, bytes):
                        _add(family, value, unit, out, key)


def _fields_of(reply: Reply) -> dict[bytes, Reply]:
    """Names and values, in a list of their own or not; nothing where no session was started."""
    pairs = reply[0] if isinstance(reply, list) and len(reply) == 1 else reply
    if not isinstance(pairs, list):
        return {}
    return {
        name: value for name, value in zip(pairs[::2], pairs[1::2], strict=False) if isinstance(name, bytes)
    }


def _add(family: Family, value: Reply, unit: int, out: Out, *labels: bytes) -> None:
    if isinstance(value, int) and value >= 0:
        out.add(family, value if unit == 1 else value / unit, *labels)
