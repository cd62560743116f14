"""All targets at a glance: what is wrong, which are the largest, how fresh the values are, what differs."""

from __future__ import annotations

from deploy.grafana.src.board import Board, Row
from deploy.grafana.src.panels import (
    BLUE,
    GREEN,
    GREY,
    NONE,
    ORANGE,
    RED,
    UP,
    Panel,
    Query,
    bars,
    graph,
    number,
    query,
    rows,
    spread,
    timeline,
)
from deploy.grafana.src.variables import choice, counts

#: the targets that are chosen
T = 'job=~"$job",group=~"$group",instance=~"$instance"'
WHERE = {"instance": "Instance", "job": "Job"}
LATE = ((None, GREEN), (15, ORANGE), (60, RED))
SLOW = ((None, GREEN), (0.1, ORANGE), (1, RED))


def _top(
    title: str, shows: str, unit: str, expr: str, *, least: bool = False, top: float | None = None
) -> Panel:
    """The targets that are highest, or lowest, at the end of the time range; RANGE in the query stands for
    the range of a rate."""
    now = expr.replace("NOW", " @ end()")
    expr = expr.replace("NOW", "")
    pick = "bottomk" if least else "topk"
    return graph(title, shows, unit, query(f"{expr} and on (job, instance) {pick}($top, {now})"), top=top)


COUNTS = Row(
    "Now",
    [
        number(
            "Targets",
            "How many targets the exporters poll or pause.",
            "short",
            f"count(redis_up{{{T}}}) + "
            f"(count(redis_exporter_target_paused_until_timestamp_seconds{{{T}}}) or vector(0))",
        ),
        number(
            "Up",
            "How many targets answered INFO in their newest poll.",
            "short",
            f"sum(redis_up{{{T}}})",
            steps=((None, GREEN),),
        ),
        number(
            "Down",
            "How many targets did not answer in their newest poll.",
            "short",
            f"sum(redis_up{{{T}}} == bool 0)",
            steps=NONE,
        ),
        number(
            "Stale",
            "How many targets have values on some lane that are too old to be shown.",
            "short",
            f"sum(max by (job, instance) (redis_exporter_snapshot_stale{{{T}}}))",
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Paused",
            "How many targets are not polled because somebody paused them, which `--web.enable-lifecycle` "
            "allows.",
            "short",
            f"count(redis_exporter_target_paused_until_timestamp_seconds{{{T}}}) or vector(0)",
            steps=((None, GREY), (1, BLUE)),
        ),
        number(
            "Polled less",
            "How many targets struggle, so that the exporter polls them less often.",
            "short",
            f"count(count by (job, instance) (redis_exporter_backoff_seconds{{{T}}})) or vector(0)",
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Memory",
            "Memory in use on all targets together.",
            "bytes",
            f"sum(redis_memory_used_bytes{{{T}}})",
        ),
        number(
            "Commands",
            "Commands a second of all targets together.",
            "ops",
            f"sum(rate(redis_commands_processed_total{{{T}}}[$__rate_interval]))",
        ),
        timeline(
            "Targets that were down",
            "When each target was down. Only those that were down within the time range. Empty if all "
            "were up.",
            query(
                f"redis_up{{{T}}} and on (job, instance) "
                f"(min_over_time(redis_up{{{T}}}[$__range] @ end()) == 0)"
            ),
            UP,
            height=9,
        ),
        rows(
            "Targets, the worst first",
            "State of each target: why it is down, how old its values are, how long the newest poll "
            "took, and "
            "how many polls failed within an hour.",
            Query(f"redis_up{{{T}}}", "State", words=UP),
            Query(f"max by (job, instance, reason) (redis_exporter_target_down{{{T}}})"),
            Query(
                f'max by (job, instance) (redis_exporter_snapshot_age_seconds{{{T},lane="fast"}})',
                "Age",
                "s",
                LATE,
            ),
            Query(
                f"max by (job, instance) (redis_exporter_last_scrape_duration_seconds{{{T}}})",
                "Poll",
                "s",
                SLOW,
            ),
            Query(
                "round(sum by (job, instance) "
                f"(increase(redis_exporter_target_poll_failures_total{{{T}}}[1h])))",
                "Failed in 1 h",
                steps=NONE,
            ),
            labels={**WHERE, "reason": "Reason"},
            sort="State",
            descending=False,
            height=9,
        ),
        graph(
            "Targets by state",
            "How many targets were up, down, and stale on some lane.",
            "short",
            query(f"sum(redis_up{{{T}}})", "up"),
            query(f"sum(redis_up{{{T}}} == bool 0)", "down"),
            query(f"sum(max by (job, instance) (redis_exporter_snapshot_stale{{{T}}}))", "stale"),
        ),
        graph(
            "Down, by reason",
            "Why targets were down. No lines while all are up.",
            "short",
            query(f"sum by (reason) (redis_exporter_target_down{{{T}}})", "{{reason}}"),
            stack=True,
        ),
        graph(
            "Failed polls",
            "Polls that failed a second, by reason. No lines before the first one.",
            "ops",
            query(
                f"sum by (reason) (rate(redis_exporter_target_poll_failures_total{{{T}}}[$__rate_interval]))",
                "{{reason}}",
            ),
            stack=True,
        ),
    ],
)

LARGEST = Row(
    "The highest, as many as chosen above",
    [
        _top(
            "Memory in use",
            "Memory that the server has allocated.",
            "bytes",
            f"redis_memory_used_bytes{{{T}}}NOW",
        ),
        _top(
            "Memory against its limit",
            "Memory in use divided by maxmemory. Only targets that have such a limit.",
            "percentunit",
            f"redis_memory_used_bytes{{{T}}}NOW / (redis_memory_max_bytes{{{T}}}NOW > 0)",
        ),
        _top(
            "Commands a second",
            "Commands that the server processed a second.",
            "ops",
            f"rate(redis_commands_processed_total{{{T}}}[$__rate_interval]NOW)",
        ),
        _top(
            "Mean time of a command",
            "Time spent on all commands divided by their number.",
            "s",
            "sum by (job, instance) "
            f"(rate(redis_commands_duration_seconds_total{{{T}}}[$__rate_interval]NOW)) / "
            f"(sum by (job, instance) (rate(redis_commands_total{{{T}}}[$__rate_interval]NOW)) > 0)",
        ),
        _top(
            "Busy with commands",
            "Share of the time that the server spent on commands; 1 is a whole core.",
            "percentunit",
            "sum by (job, instance) "
            f"(rate(redis_commands_duration_seconds_total{{{T}}}[$__rate_interval]NOW))",
        ),
        _top(
            "Evicted keys a second",
            "Keys that the server evicted a second because of maxmemory.",
            "ops",
            f"rate(redis_evicted_keys_total{{{T}}}[$__rate_interval]NOW)",
        ),
        _top(
            "Clients",
            "Client connections, without those of replicas.",
            "short",
            f"redis_connected_clients{{{T}}}NOW",
        ),
        _top("Keys", "Keys of all databases.", "short", f"sum by (job, instance) (redis_db_keys{{{T}}}NOW)"),
        _top(
            "Network",
            "Bytes a second that the server read and wrote.",
            "Bps",
            f"rate(redis_net_input_bytes_total{{{T}}}[$__rate_interval]NOW) + "
            f"rate(redis_net_output_bytes_total{{{T}}}[$__rate_interval]NOW)",
        ),
        _top(
            "Lowest hit ratio",
            "Share of look-ups that found their key. Only targets with look-ups.",
            "percentunit",
            f"rate(redis_keyspace_hits_total{{{T}}}[$__rate_interval]NOW) / "
            f"(rate(redis_keyspace_hits_total{{{T}}}[$__rate_interval]NOW) + "
            f"rate(redis_keyspace_misses_total{{{T}}}[$__rate_interval]NOW) > 0)",
            least=True,
            top=1,
        ),
        _top(
            "Fragmentation",
            "Resident memory divided by memory in use. It says little below some 100 MB.",
            "short",
            f"redis_mem_fragmentation_ratio{{{T}}}NOW",
        ),
        _top(
            "Slow commands a second",
            "Entries that the slow log added a second.",
            "ops",
            f"sum by (job, instance) (rate(redis_slowlog_entries_total{{{T}}}[$__rate_interval]NOW))",
        ),
    ],
)

FRESHNESS = Row(
    "How fresh and how fast",
    [
        spread(
            "Age of the values",
            "How old the values of the fast lane are at each scrape: how many targets are in which range.",
            "s",
            query(f'redis_exporter_snapshot_age_seconds{{{T},lane="fast"}}'),
        ),
        spread(
            "Duration of polls",
            "How long the newest poll of each target took: how many targets are in which range.",
            "s",
            query(f"redis_exporter_last_scrape_duration_seconds{{{T}}}"),
        ),
        _top(
            "Slowest polls",
            "Targets whose newest poll took longest.",
            "s",
            f"redis_exporter_last_scrape_duration_seconds{{{T}}}NOW",
        ),
        _top(
            "Oldest values",
            "Targets whose values of the fast lane are oldest.",
            "s",
            f'redis_exporter_snapshot_age_seconds{{{T},lane="fast"}}NOW',
        ),
        _top(
            "Longest time to connect",
            "Targets to which the newest connection took longest: name look-up, connect, TLS and login.",
            "s",
            f"redis_exporter_last_scrape_connect_time_seconds{{{T}}}NOW",
        ),
    ],
)

DIFFERENCES = Row(
    "What differs",
    [
        bars(
            "Versions",
            "How many targets run which version.",
            "short",
            query(f"count by (redis_version) (redis_instance_info{{{T}}})", "{{redis_version}}"),
            width=6,
        ),
        bars(
            "Roles",
            "How many targets have which role.",
            "short",
            query(f"count by (role, redis_mode) (redis_instance_info{{{T}}})", "{{role}} ({{redis_mode}})"),
            width=6,
        ),
        bars(
            "What happens when memory is full",
            "How many targets have which maxmemory-policy.",
            "short",
            query(
                f'count by (maxmemory_policy) (redis_instance_info{{{T},maxmemory_policy!=""}})',
                "{{maxmemory_policy}}",
            ),
            width=6,
        ),
        bars(
            "Configurations",
            "How many targets of a group have which configuration. Needs `--include-config-hash`.",
            "short",
            query(f"count by (group, hash) (redis_config_hash_info{{{T}}})", "{{group}} {{hash}}"),
            width=6,
        ),
        rows(
            "Configured unlike the others",
            "Targets whose configuration is not the one that most of their group have. Needs "
            "`--include-config-hash`.",
            Query(
                f"redis_config_hash_info{{{T}}} unless on (group, hash) "
                f"topk by (group) (1, count by (group, hash) (redis_config_hash_info{{{T}}}))",
            ),
            labels={**WHERE, "group": "Group", "hash": "Configuration"},
        ),
        rows(
            "Started last",
            "Targets by the time since their server started.",
            Query(
                f"bottomk(50, redis_uptime_in_seconds{{{T}}})", "Uptime", "s", ((None, ORANGE), (3600, GREEN))
            ),
            labels=WHERE,
            sort="Uptime",
            descending=False,
        ),
    ],
)

BOARD = Board(
    "fleet",
    "Redis: all targets",
    "Hundreds of Redis servers at a glance: what is wrong, which are the largest, what differs.",
    [
        choice("job", "Job", "redis_up"),
        choice("group", "Group", 'redis_up{job=~"$job"}'),
        choice("instance", "Instance", 'redis_up{job=~"$job",group=~"$group"}'),
        counts("top", "Highest", 10, 5, 20, 50),
    ],
    [COUNTS, LARGEST, FRESHNESS, DIFFERENCES],
)
