"""A Redis Cluster: its state, slots, nodes and how they share the load."""

from __future__ import annotations

from deploy.grafana.src.board import Board, Row
from deploy.grafana.src.panels import (
    GREEN,
    NONE,
    ORANGE,
    RED,
    Query,
    bars,
    graph,
    number,
    query,
    rows,
    timeline,
)
from deploy.grafana.src.variables import choice

#: the nodes that are chosen
C = 'job=~"$job",cluster=~"$cluster",instance=~"$instance"'
#: only nodes of a cluster: other servers have no redis_cluster_state
NODES = f"on (job, instance) redis_cluster_state{{{C}}} >= 0"
STATE = {"0": ("fail", RED), "1": ("ok", GREEN)}
NODE = {"node": "Node", "node_id": "Id"}

OVERVIEW = Row(
    "Now",
    [
        number(
            "State",
            "Whether all nodes report the cluster as ok.",
            "short",
            f"min(redis_cluster_state{{{C}}})",
            words=STATE,
        ),
        number(
            "Slots without a node",
            "Slots that no working node serves, as the node that misses most sees it.",
            "short",
            f"max(redis_cluster_slots_uncovered{{{C}}})",
            steps=NONE,
        ),
        number(
            "Slots ok",
            "Slots of nodes that are reachable, as the node that reaches fewest sees it; all are 16384.",
            "none",
            f"min(redis_cluster_slots_ok{{{C}}})",
            steps=((None, RED), (16384, GREEN)),
        ),
        number(
            "Failed slots",
            "Slots of nodes that have failed, and of those that some node cannot reach.",
            "short",
            f"max(redis_cluster_slots_fail{{{C}}} + redis_cluster_slots_pfail{{{C}}})",
            steps=NONE,
        ),
        number("Masters", "Masters that serve slots.", "short", f"max(redis_cluster_size{{{C}}})"),
        number(
            "Nodes",
            "Nodes that the nodes know, including those in handshake.",
            "short",
            f"max(redis_cluster_known_nodes{{{C}}})",
        ),
        number(
            "Without replica",
            "Working masters with slots that have no working replica: if one fails, its slots are gone.",
            "short",
            f"max(redis_cluster_masters_without_replicas{{{C}}})",
            steps=((None, GREEN), (1, ORANGE)),
        ),
        number(
            "Epoch",
            "Epoch of the cluster: it grows with each failover and each move of slots.",
            "none",
            f"max(redis_cluster_current_epoch{{{C}}})",
        ),
        timeline(
            "State, as each node sees it",
            "Whether a node reports the cluster as ok.",
            query(f"redis_cluster_state{{{C}}}"),
            STATE,
            height=9,
        ),
        timeline(
            "Masters and replicas",
            "Whether a node was a master. A change is a failover.",
            query(
                f'sum by (job, instance) (redis_instance_info{{{C},role="master"}}) and {NODES} or '
                f'sum by (job, instance) (redis_instance_info{{{C},role="slave"}}) * 0 and {NODES}'
            ),
            {"0": ("replica", "blue"), "1": ("master", "purple")},
            height=9,
        ),
    ],
)

NODES_ROW = Row(
    "Nodes",
    [
        rows(
            "Nodes",
            "Every node that the chosen nodes know, with its slots, and how many of them agree that "
            "it has failed.",
            Query(f"max by (node_id, node) (redis_cluster_node_slots{{{C}}})", "Slots", "none"),
            Query(f"sum by (node_id, node) (redis_cluster_node_fail{{{C}}})", "Failed for", steps=NONE),
            Query(f"sum by (node_id, node) (redis_cluster_node_pfail{{{C}}})", "Silent for", steps=NONE),
            Query(
                f"max by (node_id, node) (redis_cluster_node_last_pong_age_seconds{{{C}}})",
                "Last answer",
                "s",
                ((None, GREEN), (15, ORANGE)),
            ),
            Query(f"max by (node_id, node) (redis_cluster_node_config_epoch{{{C}}})", "Epoch", "none"),
            labels=NODE,
            sort="Slots",
            width=16,
        ),
        graph(
            "Nodes by state",
            "How many nodes are in which state, as the chosen nodes see it.",
            "short",
            query(f"max by (state) (redis_cluster_nodes{{{C}}})", "{{state}}"),
        ),
        rows(
            "Who follows whom",
            "The chosen nodes with their role, and the master of each replica.",
            Query(
                "max by (job, instance, node_id, role, master_id) "
                f'(redis_cluster_node_info{{{C},myself="true"}})',
            ),
            labels={"instance": "Instance", "role": "Role", "node_id": "Id", "master_id": "Id of its master"},
            width=16,
        ),
        graph(
            "Broken connections between nodes",
            "Connections to other nodes that each node misses.",
            "short",
            query(f"sum by (job, instance) (redis_cluster_node_link_up{{{C}}} == bool 0)"),
        ),
        graph(
            "Waiting pings",
            "Longest time that a ping of each node waits for an answer.",
            "s",
            query(f"max by (job, instance) (redis_cluster_node_ping_pending_seconds{{{C}}})"),
        ),
        graph(
            "Messages between nodes",
            "Messages a second that each node sent and received on the cluster bus.",
            "ops",
            query(
                f"rate(redis_cluster_messages_sent_total{{{C}}}[$__rate_interval]) + "
                f"rate(redis_cluster_messages_received_total{{{C}}}[$__rate_interval])"
            ),
        ),
        graph(
            "Memory of connections between nodes",
            "Memory of the links to other nodes.",
            "bytes",
            query(f"redis_mem_cluster_links_bytes{{{C}}} and {NODES}"),
        ),
    ],
)

SLOTS = Row(
    "Slots",
    [
        graph(
            "Slots",
            "Slots that are assigned, ok, seem to fail and have failed, as the node that sees it worst.",
            "none",
            query(f"min(redis_cluster_slots_assigned{{{C}}})", "assigned"),
            query(f"min(redis_cluster_slots_ok{{{C}}})", "ok"),
            query(f"max(redis_cluster_slots_pfail{{{C}}})", "seem to fail"),
            query(f"max(redis_cluster_slots_fail{{{C}}})", "failed"),
            query(f"max(redis_cluster_slots_uncovered{{{C}}})", "without a node"),
        ),
        bars(
            "Slots by node",
            "How many slots each node has; replicas have none.",
            "none",
            query(f"max by (node) (redis_cluster_node_slots{{{C}}}) > 0", "{{node}}"),
        ),
        graph(
            "Slots that move",
            "Slots that nodes hand over and take over. More than 0 for long is a move that was left "
            "half done.",
            "short",
            query(f"sum(redis_cluster_slots_migrating{{{C}}})", "handed over"),
            query(f"sum(redis_cluster_slots_importing{{{C}}})", "taken over"),
        ),
    ],
)

LOAD = Row(
    "How the nodes share the load",
    [
        graph(
            "Commands a second",
            "Commands that each node processed a second.",
            "ops",
            query(f"rate(redis_commands_processed_total{{{C}}}[$__rate_interval]) and {NODES}"),
        ),
        graph(
            "Keys",
            "Keys of each node.",
            "short",
            query(f"sum by (job, instance) (redis_db_keys{{{C}}}) and {NODES}"),
        ),
        graph(
            "Memory",
            "Memory that each node has allocated.",
            "bytes",
            query(f"redis_memory_used_bytes{{{C}}} and {NODES}"),
        ),
        graph(
            "Imbalance of masters",
            "The highest value of a master divided by the mean of all masters: 1 is an even share.",
            "short",
            query(
                f"max(redis_memory_used_bytes{{{C}}} and on (job, instance) "
                f'redis_instance_info{{{C},role="master"}} '
                f"and {NODES}) / avg(redis_memory_used_bytes{{{C}}} and on (job, instance) "
                f'redis_instance_info{{{C},role="master"}} and {NODES})',
                "memory",
            ),
            query(
                f"max(rate(redis_commands_processed_total{{{C}}}[$__rate_interval]) and on (job, instance) "
                f'redis_instance_info{{{C},role="master"}} and {NODES}) / '
                f"(avg(rate(redis_commands_processed_total{{{C}}}[$__rate_interval]) and on (job, instance) "
                f'redis_instance_info{{{C},role="master"}} and {NODES}) > 0)',
                "commands",
            ),
        ),
        graph(
            "How far replicas are behind",
            "Bytes that each replica is behind its master. Needs the master as a target too.",
            "bytes",
            query(f"max by (job, instance) (redis_replica_lag_bytes{{{C}}}) and {NODES}"),
        ),
        graph(
            "Redirections",
            "Replies a second that sent clients to another node: MOVED and ASK. No line "
            "before the first one.",
            "ops",
            query(
                f'rate(redis_errors_total{{{C},err=~"MOVED|ASK"}}[$__rate_interval])', "{{instance}} {{err}}"
            ),
        ),
    ],
)

BOARD = Board(
    "cluster",
    "Redis: cluster",
    "State, slots and nodes of Redis Clusters, and how the nodes share the load.",
    [
        choice("job", "Job", "redis_cluster_state"),
        choice("cluster", "Cluster", 'redis_cluster_state{job=~"$job"}'),
        choice("instance", "Instance", 'redis_cluster_state{job=~"$job",cluster=~"$cluster"}'),
    ],
    [OVERVIEW, NODES_ROW, SLOTS, LOAD],
)
