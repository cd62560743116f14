"""The exporter itself: does it serve, how fresh is what it serves, and what does it cost."""

from __future__ import annotations

from deploy.grafana.src.board import Board, Row
from deploy.grafana.src.panels import (
    GREEN,
    NONE,
    OK,
    ORANGE,
    RED,
    Query,
    bars,
    buckets,
    graph,
    number,
    query,
    rows,
    spread,
    timeline,
)
from deploy.grafana.src.variables import choice, counts

#: the processes that are chosen, and the targets of the chosen jobs
E = 'job=~"$exporters",instance=~"$exporter"'
T = 'job=~"$job"'
RATE = "[$__rate_interval]"
INSTANCE = {"instance": "Instance"}


def _costly(expr: str) -> str:
    """The targets that cost most at the end of the time range; NOW as in `fleet`."""
    return f"{expr.replace('NOW', '')} and on (job, instance) topk($top, {expr.replace('NOW', ' @ end()')})"


KPIS = Row(
    "Does it serve",
    [
        number(
            "Scrapes that succeed",
            "Share of Prometheus' scrapes within the time range that got an answer.",
            "percentunit",
            f"avg(avg_over_time(up{{{E}}}[$__range]))",
            width=4,
            steps=((None, RED), (0.99, ORANGE), (0.999, GREEN)),
            decimals=2,
        ),
        number(
            "99th percentile of polls",
            "How long 99 of 100 polls took at most.",
            "s",
            "histogram_quantile(0.99, sum by (le) "
            f"(rate(redis_exporter_scrape_duration_seconds_bucket{{{E}}}{RATE})))",
            width=4,
            steps=((None, GREEN), (1, ORANGE), (5, RED)),
        ),
        number(
            "Uptime",
            "Time since the exporter started; of several the one that started last.",
            "s",
            f"time() - max(process_start_time_seconds{{{E}}})",
            width=4,
        ),
        number(
            "Memory",
            "Memory of the exporters' processes together.",
            "bytes",
            f"sum(process_resident_memory_bytes{{{E}}})",
            width=4,
        ),
        number(
            "CPU",
            "CPU seconds a second of the exporters' processes together; 1 is a whole core.",
            "percentunit",
            f"sum(rate(process_cpu_seconds_total{{{E}}}{RATE}))",
            width=4,
            decimals=2,
        ),
        number(
            "Newest reload",
            "Whether the newest reload of the configuration went well.",
            "short",
            f"min(redis_exporter_config_last_reload_successful{{{E}}})",
            width=4,
            words=OK,
        ),
        timeline(
            "Scraped by Prometheus",
            "When Prometheus got an answer from each exporter.",
            query(f"up{{{E}}}"),
            OK,
            height=6,
        ),
        graph(
            "Targets by state",
            "How many targets the exporters have, by state.",
            "short",
            query(f"sum by (state) (redis_exporter_targets{{{E}}})", "{{state}}"),
            width=6,
            height=6,
            stack=True,
        ),
        rows(
            "Versions",
            "Version of each exporter, of its Python, and its engine.",
            Query(
                f"max by (instance, version, python_version, engine) (redis_exporter_build_info{{{E}}})",
            ),
            labels={**INSTANCE, "version": "Version", "python_version": "Python", "engine": "Engine"},
            width=6,
            height=6,
        ),
    ],
)

PAGES = Row(
    "Scrapes and pages",
    [
        graph(
            "Requests by endpoint",
            "Requests a second that were answered.",
            "reqps",
            query(
                f"sum by (endpoint) (rate(redis_exporter_http_request_duration_seconds_count{{{E}}}{RATE}))",
                "{{endpoint}}",
            ),
            stack=True,
        ),
        graph(
            "99th percentile of answers",
            "How long 99 of 100 answers took at most, by endpoint.",
            "s",
            query(
                "histogram_quantile(0.99, sum by (endpoint, le) "
                f"(rate(redis_exporter_http_request_duration_seconds_bucket{{{E}}}{RATE})))",
                "{{endpoint}}",
            ),
            log=True,
        ),
        graph(
            "What went wrong with requests",
            "Requests and connections a second that went wrong, by reason. Empty before the first one.",
            "ops",
            query(f"sum by (reason) (rate(redis_exporter_http_incidents_total{{{E}}}{RATE}))", "{{reason}}"),
            stack=True,
        ),
        graph(
            "Age of the page",
            "How old the page of all targets was when it was requested last.",
            "s",
            query(f"redis_exporter_page_age_seconds{{{E}}}"),
        ),
        graph(
            "Building a page",
            "99th percentile of the time it took to assemble and compress a page.",
            "s",
            query(
                "histogram_quantile(0.99, sum by (instance, le) "
                f"(rate(redis_exporter_page_build_duration_seconds_bucket{{{E}}}{RATE})))"
            ),
        ),
        graph(
            "Size of the page",
            "Bytes of the newest page of all targets, plain and compressed.",
            "bytes",
            query(f"redis_exporter_page_bytes{{{E}}}", "{{instance}} {{encoding}}"),
        ),
        graph(
            "Duration of scrapes",
            "How long Prometheus waited for each page.",
            "s",
            query(f"scrape_duration_seconds{{{E}}}"),
        ),
        graph(
            "Samples of a scrape",
            "Samples that each page had.",
            "short",
            query(f"scrape_samples_scraped{{{E}}}"),
        ),
        graph(
            "Scrapers in step",
            "How often each regular scraper comes, and how old the oldest values are that it gets. "
            "Empty until one "
            "came in a rhythm.",
            "s",
            query(f"redis_exporter_scraper_interval_seconds{{{E}}}", "{{scraper}} interval"),
            query(f"redis_exporter_scraper_expected_age_seconds{{{E}}}", "{{scraper}} age"),
        ),
    ],
)

POLLS = Row(
    "Polls",
    [
        buckets(
            "Polls by their duration",
            "How many polls took how long.",
            "s",
            query(f"sum by (le) (increase(redis_exporter_scrape_duration_seconds_bucket{{{E}}}{RATE}))"),
        ),
        spread(
            "Age of values",
            "How old the values of the fast lane are: how many targets are in which range.",
            "s",
            query(f'redis_exporter_snapshot_age_seconds{{{T},lane="fast"}}'),
        ),
        graph(
            "Polls by lane",
            "Polls a second that ended, by lane.",
            "ops",
            query(f"sum by (lane) (rate(redis_exporter_target_polls_total{{{T}}}{RATE}))", "{{lane}}"),
        ),
        graph(
            "Failed polls",
            "Polls a second that failed, by reason. Empty before the first one.",
            "ops",
            query(
                f"sum by (reason) (rate(redis_exporter_target_poll_failures_total{{{T}}}{RATE}))",
                "{{reason}}",
            ),
            stack=True,
        ),
        graph(
            "Polls in flight",
            "Polls that are running.",
            "short",
            query(f"redis_exporter_polls_in_flight{{{E}}}"),
        ),
        graph(
            "New connections",
            "Connections a second that were made to targets.",
            "ops",
            query(f"sum(rate(redis_exporter_target_connections_total{{{T}}}{RATE}))", "connections"),
        ),
        graph(
            "Targets in step",
            "Targets that are polled just before a scrape.",
            "short",
            query(f"redis_exporter_targets_in_step{{{E}}}"),
        ),
        graph(
            "Intervals of lanes",
            "How often each lane is polled.",
            "s",
            query(f"max by (lane) (redis_exporter_lane_interval_seconds{{{E}}})", "{{lane}}"),
            log=True,
        ),
        rows(
            "Refused by servers",
            "Collectors all of whose commands a server refuses, such as by its access rules. "
            "Empty if there are none.",
            Query(f"redis_exporter_collector_supported{{{T}}} == 0"),
            labels={**INSTANCE, "collector": "Collector"},
            width=24,
            height=6,
        ),
    ],
)

COSTS = Row(
    "What it costs the servers",
    [
        graph(
            "Time of servers, by lane",
            "Seconds a second that all servers together spend on the exporter's commands.",
            "percentunit",
            query(
                f"sum by (lane) (rate(redis_exporter_target_server_seconds_total{{{T}}}{RATE}))", "{{lane}}"
            ),
            stack=True,
        ),
        graph(
            "Time of servers, the highest",
            "Seconds a second that a server spends on the exporter's commands.",
            "percentunit",
            query(
                _costly(
                    "sum by (job, instance) "
                    f"(rate(redis_exporter_target_server_seconds_total{{{T}}}{RATE}NOW))"
                )
            ),
        ),
        graph(
            "Share of the commands' time",
            "Part of the time that a server spends on commands which goes to the exporter, the highest.",
            "percentunit",
            query(
                _costly(
                    "sum by (job, instance) "
                    f"(rate(redis_exporter_target_server_seconds_total{{{T}}}{RATE}NOW)) / (sum by "
                    "(job, instance) "
                    f"(rate(redis_commands_duration_seconds_total{{{T}}}{RATE}NOW)) > 0)"
                )
            ),
        ),
        graph(
            "Traffic",
            "Bytes a second that the exporters received from all targets and sent to them.",
            "Bps",
            query(f"sum(rate(redis_exporter_target_received_bytes_total{{{T}}}{RATE}))", "received"),
            query(f"sum(rate(redis_exporter_target_sent_bytes_total{{{T}}}{RATE}))", "sent"),
        ),
        graph(
            "Longest polls",
            "Targets whose newest poll took longest.",
            "s",
            query(_costly(f"redis_exporter_last_scrape_duration_seconds{{{T}}}NOW")),
        ),
        graph(
            "Polled less",
            "Time for which the exporter has polled a target less because it struggles, by reason. "
            "Empty while none does.",
            "s",
            query(f"redis_exporter_backoff_seconds{{{T}}}", "{{instance}} {{reason}}"),
        ),
    ],
)

SERIES = Row(
    "Series",
    [
        bars(
            "Series of a target",
            "Targets with most series.",
            "short",
            query(f"topk($top, redis_exporter_target_series{{{T}}})"),
        ),
        graph(
            "All series",
            "Series of all targets together.",
            "short",
            query(f"sum(redis_exporter_target_series{{{T}}})", "series"),
        ),
        graph(
            "Refused series",
            "Series that `--max-series-per-target` or `--max-series-per-family` refused. Empty while there "
            "are none.",
            "short",
            query(f"sum by (job, instance) (redis_exporter_target_series_refused{{{T}}})"),
        ),
        rows(
            "Cut replies",
            "Lines, rows and names that a limit left out of a collector's replies. Empty if there are none.",
            Query(
                f"max by (instance, collector) (redis_exporter_collector_rows_cut{{{T}}})",
                "Left out",
                steps=NONE,
            ),
            labels={**INSTANCE, "collector": "Collector"},
        ),
        graph(
            "Adopted targets",
            "Targets that nobody configured, polled because scrapes ask for them. Needs requests "
            "to /scrape for such targets, which `--scrape.allow` allows.",
            "short",
            query(f"redis_exporter_adopted_targets{{{E}}}"),
            width=12,
        ),
    ],
)

PROCESS = Row(
    "Process",
    [
        graph(
            "CPU",
            "CPU seconds a second; 1 is a whole core.",
            "percentunit",
            query(f"rate(process_cpu_seconds_total{{{E}}}{RATE})"),
        ),
        graph("Memory", "Memory that is in RAM.", "bytes", query(f"process_resident_memory_bytes{{{E}}}")),
        graph(
            "Delay of the event loop",
            "How late the event loop was when it was measured last.",
            "s",
            query(f"redis_exporter_loop_lag_seconds{{{E}}}"),
            steps=((None, GREEN), (0.1, ORANGE)),
        ),
        graph(
            "Open files",
            "Files and connections that are open, as a share of what is allowed.",
            "percentunit",
            query(f"process_open_fds{{{E}}} / (process_max_fds{{{E}}} > 0)"),
        ),
        graph(
            "HTTP connections",
            "Open connections of HTTP clients.",
            "short",
            query(f"redis_exporter_http_connections{{{E}}}"),
        ),
        graph(
            "Network",
            "Bytes a second that the exporter's network namespace received and sent.",
            "Bps",
            query(f"rate(process_network_receive_bytes_total{{{E}}}{RATE})", "{{instance}} received"),
            query(f"rate(process_network_transmit_bytes_total{{{E}}}{RATE})", "{{instance}} sent"),
        ),
        graph(
            "Sources of targets",
            "Time since each file or URL with targets was read well. Needs `--targets.file-sd` "
            "or `--targets.http-sd`.",
            "s",
            query(f"time() - redis_exporter_sd_last_success_timestamp_seconds{{{E}}}", "{{source}}"),
        ),
        graph(
            "Shards",
            "Targets that each shard polls, and all of them. Needs `--shard.index`.",
            "short",
            query(f"redis_exporter_shard_targets_owned{{{E}}}", "{{instance}}"),
            query(f"max(redis_exporter_shard_targets{{{E}}})", "all"),
        ),
        graph(
            "Time since a reload",
            "Time since the configuration in use was read.",
            "s",
            query(f"time() - redis_exporter_config_last_reload_success_timestamp_seconds{{{E}}}"),
        ),
    ],
    folded=True,
)

BOARD = Board(
    "exporter",
    "Redis exporter",
    "Whether the exporter serves, how fresh the values are, and what it costs itself and the servers.",
    [
        choice("exporters", "Job of the exporters", "redis_exporter_build_info", of="job"),
        choice("exporter", "Exporter", 'redis_exporter_build_info{job=~"$exporters"}', of="instance"),
        choice("job", "Job of the targets", "redis_up"),
        counts("top", "Highest", 10, 5, 20, 50),
    ],
    [KPIS, PAGES, POLLS, COSTS, SERIES, PROCESS],
)
