"""LATENCY LATEST: the newest and the largest latency spike of each event that the server watches.

A server records spikes from `latency-monitor-threshold` on, and none while that is 0, as it is by default.
https://redis.io/docs/latest/commands/latency-latest/ and https://valkey.io/commands/latency-latest/
"""

from __future__ import annotations

from functools import partial

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.metrics.family import NameSet, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command
from exporter.protocol.facts import Facts

MS_PER_S = 1000

go_gauge = partial(gauge, name_set=NameSet.GO, labels=("event_name",))

LAST = go_gauge("latency_spike_last", "Time of the newest latency spike of an event.")
DURATION = go_gauge("latency_spike_duration_seconds", "Duration of the newest latency spike of an event.")
DURATION_MAX = gauge(
    "latency_spike_max_duration_seconds",
    "Duration of the longest latency spike of an event since the last reset.",
    labels=("event_name",),
)
# sum and number of all spikes: the ring of samples, which holds one a second at most, does not bound them
SPIKES = counter(
    "latency_spikes_total", "Latency spikes of an event.", labels=("event_name",), since="valkey 8.1"
)
SPIKES_DURATION = counter(
    "latency_spikes_duration_seconds_total",
    "Total duration of the latency spikes of an event.",
    labels=("event_name",),
    since="valkey 8.1",
)


class LatencyCollector(Collector[None]):
    name = "latency"
    help = "Latency spikes by event."
    lane = Lane.FAST
    families = (LAST, DURATION, DURATION_MAX, SPIKES, SPIKES_DURATION)

    def enabled(self, options: Options) -> bool:
        return not options.metrics.exclude_latency_histogram_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode != "sentinel" and facts.version >= (2, 8, 13)

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+latency|latest",)

    def repeats(self, options: Options) -> bool:
        return True

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [reply] = yield [Command.of("LATENCY", "LATEST")]
        raise_failure(reply)
        rows = {}
        for row in reply if isinstance(reply, list) else ():
            if (
                isinstance(row, list)
                and len(row) >= 4
                and isinstance(row[0], bytes)
                and all(isinstance(n, int) for n in row[1:6])
            ):
                rows[row[0].decode("utf-8", "replace")] = row[1:6]
        for number, (event, (at, last_ms, max_ms, *more)) in enumerate(rows.items(), 1):
            if number % PIECE == 0:
                yield PAUSE
            values = [(LAST, at), (DURATION, last_ms / MS_PER_S), (DURATION_MAX, max_ms / MS_PER_S)]
            if len(more) == 2:
                sum_ms, spikes = more
                values += [(SPIKES, spikes), (SPIKES_DURATION, sum_ms / MS_PER_S)]
            for family, value in values:
                if value >= 0:
                    out.add(family, value, event)
