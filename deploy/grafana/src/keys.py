"""Keys, groups of keys, streams and what scripts return: what flags ask the exporter to look at."""

from __future__ import annotations

from deploy.grafana.src.board import Board, Row
from deploy.grafana.src.panels import (
    GREEN,
    ORANGE,
    RED,
    YES,
    Query,
    graph,
    number,
    query,
    rows,
    timeline,
)
from deploy.grafana.src.variables import choice, counts

#: the databases that are chosen
D = 'job=~"$job",instance=~"$instance",db=~"$db"'
K = f'{D},key=~"$key"'
S = f'{D},stream=~"$stream"'
KEY = {"instance": "Instance", "db": "Database", "key": "Key"}
STREAM = {"instance": "Instance", "db": "Database", "stream": "Stream"}
BY_KEY = "{{instance}} {{db}} {{key}}"
BY_STREAM = "{{instance}} {{db}} {{stream}}"
KEYS_FLAGS = "Needs `--check-keys` or `--check-single-keys`."
STREAMS_FLAGS = "Needs `--check-streams` or `--check-single-streams`."
KEPT = "on (job, instance, db, key)"


def _highest(expr: str, *labels: str) -> str:
    """The series that are highest at the end of the time range; NOW as in `fleet`."""
    by = ", ".join(("job", "instance", *labels))
    return f"{expr.replace('NOW', '')} and on ({by}) topk($top, {expr.replace('NOW', ' @ end()')})"


SPACE = Row(
    "All keys",
    [
        number("Keys", "Keys of all chosen databases.", "short", f"sum(redis_db_keys{{{D}}})", width=4),
        number(
            "Keys that expire",
            "Share of keys that have an expiry. Empty without keys.",
            "percentunit",
            f"sum(redis_db_keys_expiring{{{D}}}) / (sum(redis_db_keys{{{D}}}) > 0)",
            width=4,
        ),
        number(
            "Watched keys",
            f"Keys that the exporter looks at. {KEYS_FLAGS}",
            "short",
            f"count(redis_key_size{{{K}}})",
            width=4,
        ),
        number(
            "Missing keys",
            f"Watched keys that do not exist. {KEYS_FLAGS}",
            "short",
            f"sum(redis_key_exists{{{K}}} == bool 0)",
            width=4,
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Cut patterns",
            "Patterns that fit more keys than are shown, or whose scan ended early. Needs `--check-keys`, "
            "`--count-keys` or `--check-streams`.",
            "short",
            f"sum(redis_key_pattern_truncated{{{D}}})",
            width=4,
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Streams",
            f"Streams that the exporter looks at. {STREAMS_FLAGS}",
            "short",
            f"count(redis_stream_length{{{S}}})",
            width=4,
        ),
        graph(
            "Keys by database",
            "Keys of each database with keys.",
            "short",
            query(f"redis_db_keys{{{D}}} > 0", "{{instance}} {{db}}"),
        ),
        graph(
            "Growth of databases",
            "Keys that each database has more than an hour ago.",
            "short",
            query(_highest(f"delta(redis_db_keys{{{D}}}[1h]NOW)", "db"), "{{instance}} {{db}}"),
        ),
        graph(
            "Keys by pattern",
            "Keys that fit each pattern. Needs `--count-keys` or `--check-keys`.",
            "short",
            query(f"redis_key_count{{{D}}}", BY_KEY),
        ),
    ],
)

WATCHED = Row(
    "Watched keys",
    [
        graph(
            "Largest keys",
            f"Size: bytes of a string, elements of others. {KEYS_FLAGS}",
            "short",
            query(_highest(f"redis_key_size{{{K}}}NOW", "db", "key"), BY_KEY),
        ),
        graph(
            "Memory of keys",
            f"Memory of keys, as the server estimates it. {KEYS_FLAGS}",
            "bytes",
            query(_highest(f"redis_key_memory_usage_bytes{{{K}}}NOW", "db", "key"), BY_KEY),
        ),
        graph(
            "Fastest growing keys",
            f"Elements, or bytes of a string, that a key gained within an hour. {KEYS_FLAGS}",
            "short",
            query(_highest(f"delta(redis_key_size{{{K}}}[1h]NOW)", "db", "key"), BY_KEY),
        ),
        graph(
            "Values",
            f"Values of strings that are numbers. {KEYS_FLAGS}",
            "short",
            query(_highest(f"redis_key_value{{{K}}}NOW", "db", "key"), BY_KEY),
        ),
        graph(
            "Next to expire",
            f"Time until keys expire, the soonest ones. {KEYS_FLAGS}",
            "s",
            query(
                f"redis_key_expires_timestamp_seconds{{{K}}} - time() and on (job, instance, db, key) "
                f"bottomk($top, redis_key_expires_timestamp_seconds{{{K}}} @ end())",
                BY_KEY,
            ),
        ),
        timeline(
            "Keys that exist",
            f"When each watched key existed. {KEYS_FLAGS}",
            query(f"redis_key_exists{{{K}}}", BY_KEY),
            YES,
            width=8,
        ),
        rows(
            "Watched keys",
            f"Each watched key with its size, memory and time to live. {KEYS_FLAGS}",
            Query(f"max by (instance, db, key) (redis_key_size{{{K}}})", "Size"),
            Query(f"max by (instance, db, key) (redis_key_memory_usage_bytes{{{K}}})", "Memory", "bytes"),
            Query(
                f"max by (instance, db, key) (redis_key_expires_timestamp_seconds{{{K}}}) - time()",
                "Expires in",
                "s",
            ),
            labels=KEY,
            sort="Size",
            width=24,
        ),
    ],
)

GROUPS = Row(
    "Groups of keys and scripts",
    [
        graph(
            "Keys by group",
            "Keys of each group. Needs `--check-key-groups`.",
            "short",
            query(
                _highest(f"redis_key_group_count{{{D}}}NOW", "db", "key_group"),
                "{{instance}} {{db}} {{key_group}}",
            ),
        ),
        graph(
            "Memory by group",
            "Memory of the keys of each group. Needs `--check-key-groups`.",
            "bytes",
            query(
                _highest(f"redis_key_group_memory_usage_bytes{{{D}}}NOW", "db", "key_group"),
                "{{instance}} {{db}} {{key_group}}",
            ),
        ),
        graph(
            "Number of groups",
            "Groups that were found, including those that are summed up. Needs `--check-key-groups`.",
            "short",
            query(f"redis_number_of_distinct_key_groups{{{D}}}", "{{instance}} {{db}}"),
        ),
        graph(
            "Values of scripts",
            "Values that scripts return. Needs `--script`.",
            "short",
            query(
                'redis_script_values{job=~"$job",instance=~"$instance"}', "{{instance}} {{filename}} {{key}}"
            ),
            width=16,
        ),
        timeline(
            "Scripts",
            "Whether each script returned values. Needs `--script`.",
            query('redis_script_result{job=~"$job",instance=~"$instance"}', "{{instance}} {{filename}}"),
            {"0": ("error", RED), "1": ("values", GREEN), "2": ("no values", ORANGE)},
            width=8,
        ),
    ],
)

STREAMS = Row(
    "Streams",
    [
        graph(
            "Length",
            f"Entries of each stream. {STREAMS_FLAGS}",
            "short",
            query(_highest(f"redis_stream_length{{{S}}}NOW", "db", "stream"), BY_STREAM),
        ),
        graph(
            "Added entries",
            f"Entries a second that were added. {STREAMS_FLAGS}",
            "ops",
            query(f"rate(redis_stream_entries_added_total{{{S}}}[$__rate_interval])", BY_STREAM),
        ),
        graph(
            "Growth",
            f"Entries that a stream has more than an hour ago. {STREAMS_FLAGS}",
            "short",
            query(_highest(f"delta(redis_stream_length{{{S}}}[1h]NOW)", "db", "stream"), BY_STREAM),
        ),
        graph(
            "Behind, by group",
            f"Entries that each group has not received yet. {STREAMS_FLAGS}",
            "short",
            query(
                _highest(f"redis_stream_group_lag{{{S}}}NOW", "db", "stream", "group"),
                BY_STREAM + " {{group}}",
            ),
        ),
        graph(
            "Not acknowledged, by group",
            f"Entries that were delivered to each group and not acknowledged yet. {STREAMS_FLAGS}",
            "short",
            query(
                _highest(f"redis_stream_group_messages_pending{{{S}}}NOW", "db", "stream", "group"),
                BY_STREAM + " {{group}}",
            ),
        ),
        graph(
            "Read by groups",
            f"Entries a second that each group reads. {STREAMS_FLAGS}",
            "ops",
            query(
                f"rate(redis_stream_group_entries_read{{{S}}}[$__rate_interval])", BY_STREAM + " {{group}}"
            ),
        ),
        graph(
            "Age of the oldest entry",
            f"Time since the oldest entry was added, if its id is a time. {STREAMS_FLAGS}",
            "s",
            query(f"time() - (redis_stream_first_entry_id{{{S}}} > 0) / 1000", BY_STREAM),
        ),
        graph(
            "Silence of a stream",
            f"Time since the newest entry was added, if its id is a time. {STREAMS_FLAGS}",
            "s",
            query(f"time() - (redis_stream_last_entry_id{{{S}}} > 0) / 1000", BY_STREAM),
        ),
        graph(
            "Groups",
            f"Consumer groups of each stream. {STREAMS_FLAGS}",
            "short",
            query(f"redis_stream_groups{{{S}}}", BY_STREAM),
        ),
        rows(
            "Groups",
            f"Each consumer group: its consumers, what it has not received and what it has not acknowledged. "
            f"{STREAMS_FLAGS}",
            Query(f"max by (instance, db, stream, group) (redis_stream_group_lag{{{S}}})", "Behind"),
            Query(
                f"max by (instance, db, stream, group) (redis_stream_group_messages_pending{{{S}}})",
                "Not acknowledged",
            ),
            Query(
                f"max by (instance, db, stream, group) (redis_stream_group_consumers{{{S}}})",
                "Consumers",
                steps=((None, RED), (1, GREEN)),
            ),
            labels={**STREAM, "group": "Group"},
            sort="Behind",
        ),
        rows(
            "Consumers",
            f"Each consumer: what it has not acknowledged, and how long it has been silent. {STREAMS_FLAGS} "
            "`--streams-exclude-consumer-metrics` leaves this empty.",
            Query(
                "max by (instance, db, stream, group, consumer) "
                f"(redis_stream_group_consumer_messages_pending{{{S}}})",
                "Not acknowledged",
            ),
            Query(
                "max by (instance, db, stream, group, consumer) "
                f"(redis_stream_group_consumer_idle_seconds{{{S}}})",
                "Silent for",
                "s",
            ),
            labels={**STREAM, "group": "Group", "consumer": "Consumer"},
            sort="Not acknowledged",
        ),
    ],
)

BOARD = Board(
    "keys",
    "Redis: keys and streams",
    "Sizes and growth of keys, groups of keys and streams, and what consumer groups have still to do.",
    [
        choice("job", "Job", "redis_db_keys"),
        choice("instance", "Instance", 'redis_db_keys{job=~"$job"}'),
        choice("db", "Database", 'redis_db_keys{job=~"$job",instance=~"$instance"}'),
        choice("key", "Key", 'redis_key_size{job=~"$job",instance=~"$instance",db=~"$db"}'),
        choice("stream", "Stream", 'redis_stream_length{job=~"$job",instance=~"$instance",db=~"$db"}'),
        counts("top", "Highest", 10, 5, 20, 50),
    ],
    [SPACE, WATCHED, GROUPS, STREAMS],
    takes=("job", "instance"),
)
