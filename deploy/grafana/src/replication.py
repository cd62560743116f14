"""Masters, their replicas, and the Sentinels that watch them."""

from __future__ import annotations

from deploy.grafana.src.board import Board, Row
from deploy.grafana.src.panels import (
    GREEN,
    NONE,
    OK,
    ORANGE,
    RED,
    UP,
    Query,
    graph,
    number,
    query,
    rows,
    timeline,
)
from deploy.grafana.src.variables import choice

#: the targets that are chosen
T = 'job=~"$job",group=~"$group",instance=~"$instance"'
#: what Sentinels say about the masters that are chosen
S = f'{T},master_name=~"$master"'
INSTANCE = {"instance": "Instance"}
MASTER = {"master_name": "Master"}
BEHIND = ((None, GREEN), (2**20, ORANGE), (64 * 2**20, RED))

NOW = Row(
    "Replication now",
    [
        number(
            "Masters",
            "Targets that are masters.",
            "short",
            f'count(redis_instance_info{{{T},role="master"}})',
        ),
        number(
            "Replicas",
            "Targets that are replicas.",
            "short",
            f'count(redis_instance_info{{{T},role="slave"}})',
        ),
        number(
            "Broken links",
            "Replicas that have lost their master.",
            "short",
            f"sum(redis_master_link_up{{{T}}} == bool 0)",
            steps=NONE,
        ),
        number(
            "Most bytes behind",
            "Most bytes that a replica is behind its master. Needs both as targets.",
            "bytes",
            f"max(redis_replica_lag_bytes{{{T}}})",
            steps=BEHIND,
        ),
        number(
            "Longest behind",
            "Longest time that a replica is behind its master, while the master writes. Needs both "
            "as targets.",
            "s",
            f"max(redis_replica_lag_seconds{{{T}}})",
            steps=((None, GREEN), (2, ORANGE), (10, RED)),
        ),
        number(
            "Conflicts",
            "Masters that hold the data of another master: two writers of one truth.",
            "short",
            f"count(count by (job, instance) (redis_replication_conflict{{{T}}})) or vector(0)",
            steps=NONE,
        ),
        number(
            "Without replica",
            "Masters that no replica is connected to.",
            "short",
            f"count(redis_connected_slaves{{{T}}} == 0 and on (job, instance) "
            f'redis_instance_info{{{T},role="master"}}) or vector(0)',
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Full syncs",
            "How often masters sent all their data to a replica within the time range.",
            "short",
            f"sum(increase(redis_replica_resyncs_full{{{T}}}[$__range]))",
            steps=((None, GREEN), (1, ORANGE)),
        ),
        rows(
            "Replicas",
            "Each replica: its link to the master, how far it is behind, and how long the master has "
            "been silent.",
            Query(
                f"max by (job, instance, master_host, master_port) (redis_master_link_up{{{T}}})",
                "Link",
                words=UP,
            ),
            Query(f"max by (job, instance) (redis_replica_lag_bytes{{{T}}})", "Behind", "bytes", BEHIND),
            Query(f"max by (job, instance) (redis_replica_lag_seconds{{{T}}})", "Behind in time", "s"),
            Query(f"max by (job, instance) (redis_master_last_io_seconds_ago{{{T}}})", "Master silent", "s"),
            Query(
                f"max by (job, instance) (redis_slave_priority{{{T}}} and on (job, instance) "
                f'redis_instance_info{{{T},role="slave"}})',
                "Priority",
                "none",
            ),
            labels={**INSTANCE, "master_host": "Master", "master_port": "Port"},
            sort="Behind",
            height=9,
        ),
        rows(
            "Conflicts",
            "Masters that hold the same data as another one. Empty while all is well.",
            Query(f"max by (job, instance, kind, other) (redis_replication_conflict{{{T}}})"),
            labels={**INSTANCE, "kind": "Kind", "other": "Other master"},
            width=6,
            height=9,
        ),
        rows(
            "Masters without replica",
            "Masters that no replica is connected to. Empty if there are none.",
            Query(
                f"redis_connected_slaves{{{T}}} == 0 and on (job, instance) "
                f'redis_instance_info{{{T},role="master"}}',
            ),
            labels=INSTANCE,
            width=6,
            height=9,
        ),
    ],
)

HISTORY = Row(
    "Replication over time",
    [
        graph(
            "Behind the master",
            "Bytes that each replica is behind. Needs its master as a target too.",
            "bytes",
            query(f"max by (job, instance) (redis_replica_lag_bytes{{{T}}})"),
        ),
        graph(
            "Behind the master in time",
            "Estimated time that each replica is behind, while its master writes. Needs the master "
            "as a target "
            "too.",
            "s",
            query(f"max by (job, instance) (redis_replica_lag_seconds{{{T}}})"),
        ),
        graph(
            "Silence of the master",
            "Seconds since the master last sent something to a replica.",
            "s",
            query(f"redis_master_last_io_seconds_ago{{{T}}} >= 0"),
        ),
        timeline(
            "Links of replicas",
            "When each replica was connected to its master.",
            query(f"max by (job, instance) (redis_master_link_up{{{T}}})"),
            UP,
        ),
        timeline(
            "Masters and replicas",
            "Which role each target had. A change is a failover.",
            query(
                f'sum by (job, instance) (redis_instance_info{{{T},role="master"}}) or '
                f'sum by (job, instance) (redis_instance_info{{{T},role="slave"}}) * 0'
            ),
            {"0": ("replica", "blue"), "1": ("master", "purple")},
        ),
        graph(
            "Connected replicas",
            "Replicas that are connected to each master.",
            "short",
            query(
                f"redis_connected_slaves{{{T}}} and on (job, instance) "
                f'redis_instance_info{{{T},role="master"}}'
            ),
        ),
        graph(
            "Writes of masters",
            "Bytes a second by which the stream of changes of each master grows.",
            "Bps",
            query(
                f"rate(redis_master_repl_offset{{{T}}}[$__rate_interval]) and on (job, instance) "
                f'redis_instance_info{{{T},role="master"}}'
            ),
        ),
        graph(
            "Time that the backlog covers",
            "How long a replica may be away until it must copy all data: the backlog's size divided by the "
            "rate of writes. No line without writes.",
            "s",
            query(
                f"redis_replication_backlog_bytes{{{T}}} / "
                f"(rate(redis_master_repl_offset{{{T}}}[$__rate_interval]) > 0) "
                f'and on (job, instance) redis_instance_info{{{T},role="master"}}'
            ),
            log=True,
        ),
        graph(
            "Full and partial syncs",
            "How often replicas began anew, and went on where they had stopped, within an hour.",
            "short",
            query(f"increase(redis_replica_resyncs_full{{{T}}}[1h])", "{{instance}} full"),
            query(f"increase(redis_replica_partial_resync_accepted{{{T}}}[1h])", "{{instance}} partial"),
            query(
                f"increase(redis_replica_partial_resync_denied{{{T}}}[1h])",
                "{{instance}} partial, denied",
            ),
        ),
        timeline(
            "Syncs in progress",
            "When each replica was copying all data from its master.",
            query(f"max by (job, instance) (redis_master_sync_in_progress{{{T}}})"),
            {"0": ("no", GREEN), "1": ("copying", ORANGE)},
            width=8,
        ),
        graph(
            "Versions in a group",
            "How many versions run in each group of targets. Needs a scrape of the page of all targets.",
            "short",
            query('max by (job, group) (redis_exporter_fleet_versions{group=~"$group"})', "{{group}}"),
        ),
    ],
)

SENTINELS = Row(
    "Sentinels",
    [
        number("Sentinels", "Targets that are Sentinels.", "short", f"count(redis_sentinel_masters{{{T}}})"),
        number(
            "Watched masters",
            "Masters that Sentinels watch.",
            "short",
            f"count(count by (master_name) (redis_sentinel_master_status{{{S}}}))",
        ),
        number(
            "Without quorum",
            "Masters for which some Sentinel cannot reach enough others for a failover.",
            "short",
            f"sum(min by (master_name) (redis_sentinel_master_quorum_ok{{{S}}}) == bool 0)",
            steps=NONE,
        ),
        number(
            "Masters down",
            "Masters that some Sentinel does not find ok.",
            "short",
            f"sum(min by (master_name) (redis_sentinel_master_status{{{S}}}) == bool 0)",
            steps=NONE,
        ),
        number(
            "Sentinels in TILT",
            "Sentinels that take no part in failovers for a while, as their clock or machine stood still.",
            "short",
            f"sum(redis_sentinel_tilt{{{T}}})",
            steps=NONE,
        ),
        number(
            "Failovers",
            "How often the configuration of a master changed within the time range.",
            "short",
            f"sum(max by (master_name) (delta(redis_sentinel_master_config_epoch{{{S}}}[$__range])))",
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Broken connections",
            "Connections of Sentinels to masters, replicas and other Sentinels that are down.",
            "short",
            f"sum(redis_sentinel_link_connected{{{S}}} == bool 0)",
            steps=NONE,
        ),
        number(
            "Disagreement",
            "Masters for which Sentinels name different addresses.",
            "short",
            f"sum(count by (master_name) (count by (master_name, master_address) "
            f"(redis_sentinel_master_slaves{{{S}}})) > bool 1)",
            steps=NONE,
        ),
        rows(
            "Watched masters",
            "Each master as its Sentinels see it: the one that sees least counts.",
            Query(
                f"min by (master_name, master_address) (redis_sentinel_master_status{{{S}}})",
                "State",
                words=OK,
            ),
            Query(
                f"min by (master_name, master_address) (redis_sentinel_master_quorum_ok{{{S}}})",
                "Quorum",
                words=OK,
            ),
            Query(
                f"min by (master_name, master_address) (redis_sentinel_master_ok_sentinels{{{S}}})",
                "Sentinels ok",
                "none",
            ),
            Query(
                f"max by (master_name, master_address) (redis_sentinel_master_setting_ckquorum{{{S}}})",
                "Must agree",
                "none",
            ),
            Query(
                f"min by (master_name, master_address) (redis_sentinel_master_ok_slaves{{{S}}})",
                "Replicas ok",
                "none",
            ),
            Query(
                "max by (master_name, master_address) "
                f"(redis_sentinel_master_last_ok_ping_reply_seconds{{{S}}})",
                "Last answer",
                "s",
            ),
            labels={**MASTER, "master_address": "Address"},
            width=24,
            height=6,
        ),
        timeline(
            "Quorum",
            "Whether enough Sentinels were reachable for a failover of each master.",
            query(f"min by (master_name) (redis_sentinel_master_quorum_ok{{{S}}})", "{{master_name}}"),
            OK,
            height=5,
        ),
        timeline(
            "State of masters",
            "Whether all Sentinels found each master ok.",
            query(f"min by (master_name) (redis_sentinel_master_status{{{S}}})", "{{master_name}}"),
            OK,
            height=5,
        ),
        graph(
            "Sentinels and replicas of a master",
            "How many are known and how many are ok, as the Sentinel that sees fewest.",
            "short",
            query(
                f"min by (master_name) (redis_sentinel_master_sentinels{{{S}}})", "{{master_name}} Sentinels"
            ),
            query(
                f"min by (master_name) (redis_sentinel_master_ok_sentinels{{{S}}})",
                "{{master_name}} Sentinels ok",
            ),
            query(f"min by (master_name) (redis_sentinel_master_slaves{{{S}}})", "{{master_name}} replicas"),
            query(
                f"min by (master_name) (redis_sentinel_master_ok_slaves{{{S}}})",
                "{{master_name}} replicas ok",
            ),
            width=16,
        ),
        graph(
            "Last good ping",
            "Longest time since a Sentinel had a good answer from each master, replica and other Sentinel.",
            "s",
            query(
                f"max by (master_name, link) (redis_sentinel_link_last_ok_ping_reply_seconds{{{S}}})",
                "{{master_name}} {{link}}",
            ),
        ),
        rows(
            "Connections",
            "What each Sentinel is connected to, and for how long it has found the other end down.",
            Query(
                f"max by (instance, master_name, link, address) (redis_sentinel_link_connected{{{S}}})",
                "Connected",
                words=UP,
            ),
            Query(
                f"max by (instance, master_name, link, address) "
                f"(redis_sentinel_link_subjective_down_seconds{{{S}}})",
                "Down for",
                "s",
                NONE,
            ),
            labels={**INSTANCE, **MASTER, "link": "Kind", "address": "Address"},
            sort="Connected",
            descending=False,
        ),
        graph(
            "Replicas without their master",
            "Time since each replica lost its master, as Sentinels see it; 0 while connected.",
            "s",
            query(
                f"max by (master_name, address) (redis_sentinel_replica_master_link_down_seconds{{{S}}})",
                "{{master_name}} {{address}}",
            ),
            width=6,
        ),
        graph(
            "Last hello",
            "Time since Sentinels last heard from each other. Empty with a single Sentinel.",
            "s",
            query(
                f"max by (master_name, address) (redis_sentinel_peer_last_hello_seconds{{{S}}})",
                "{{master_name}} {{address}}",
            ),
            width=6,
        ),
    ],
)

BOARD = Board(
    "replication",
    "Redis: replication and Sentinel",
    "Masters, how far their replicas are behind, and what Sentinels see.",
    [
        choice("job", "Job", "redis_up"),
        choice("group", "Group", 'redis_up{job=~"$job"}'),
        choice("instance", "Instance", 'redis_up{job=~"$job",group=~"$group"}'),
        choice(
            "master", "Master of Sentinels", 'redis_sentinel_master_status{job=~"$job"}', of="master_name"
        ),
    ],
    [NOW, HISTORY, SENTINELS],
)
