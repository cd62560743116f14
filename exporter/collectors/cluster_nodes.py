"""CLUSTER NODES: the cluster as one of its nodes sees it. All versions have it.

The target remembers the newest answer, for those who need the addresses of the nodes.
"""

from __future__ import annotations

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.cluster import ClusterNode, ClusterView, parse_nodes, uncovered_slots
from exporter.protocol.command import PAUSE, PIECE, Command, Reply
from exporter.protocol.facts import Facts

STATES = ("ok", "pfail", "fail", "handshake", "noaddr")
NODE = ("node_id", "node")

UNCOVERED = gauge("cluster_slots_uncovered", "Slots without a working node.")
LONELY = gauge("cluster_masters_without_replicas", "Working masters that have slots and no working replica.")
NODES = gauge("cluster_nodes", "Nodes that the node knows, by their state.", labels=("state",))
MIGRATING = gauge("cluster_slots_migrating", "Slots that the node is handing to other nodes.")
IMPORTING = gauge("cluster_slots_importing", "Slots that the node is taking over from other nodes.")

INFO = gauge(
    "cluster_node_info",
    "A node of the cluster; myself is true for the target itself. Always 1.",
    labels=(*NODE, "hostname", "role", "master_id", "myself"),
)
LINK_UP = gauge("cluster_node_link_up", "1 if the target is connected to this node.", labels=NODE)
FAIL = gauge("cluster_node_fail", "1 if the cluster has agreed that this node has failed.", labels=NODE)
PFAIL = gauge(
    "cluster_node_pfail",
    "1 if this node does not answer the target, before the cluster agrees.",
    labels=NODE,
)
EPOCH = gauge("cluster_node_config_epoch", "Configuration epoch of a node, or of its master.", labels=NODE)
OWNED = gauge("cluster_node_slots", "Slots that a node has.", labels=NODE)
PING_AGE = gauge(
    "cluster_node_ping_pending_seconds",
    "Time that a ping to this node waits for an answer; 0 without one.",
    labels=NODE,
)
PONG_AGE = gauge(
    "cluster_node_last_pong_age_seconds", "Time since the last answer of this node.", labels=NODE
)


class ClusterNodesCollector(Collector[None]):
    name = "cluster_nodes"
    help = "CLUSTER NODES."
    lane = Lane.SLOW
    families = (
        UNCOVERED,
        LONELY,
        NODES,
        MIGRATING,
        IMPORTING,
        INFO,
        LINK_UP,
        FAIL,
        PFAIL,
        EPOCH,
        OWNED,
        PING_AGE,
        PONG_AGE,
    )

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.cluster_enabled and not facts.loading

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+cluster|nodes", "+time")

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [text] = yield [Command.of("CLUSTER", "NODES")]
        raise_failure(text)
        if isinstance(text, ReplyError):
            return
        if not isinstance(text, bytes):
            raise ProtocolError("the reply to CLUSTER NODES is not a text")
        lines = text.decode("utf-8", "replace").split("\n")
        found: dict[str, ClusterNode] = {}
        for at in range(0, len(lines), PIECE):
            if at:
                yield PAUSE
            for node in parse_nodes("\n".join(lines[at : at + PIECE])):
                found.setdefault(node.id, node)
        nodes = tuple(found.values())
        yield PAUSE
        uncovered = uncovered_slots(nodes)
        own_id = next((node.id for node in nodes if "myself" in node.flags), "")
        out.learn_cluster(ClusterView(nodes, out.now, uncovered, own_id))
        out.add(UNCOVERED, uncovered)
        yield from _write_cluster(nodes, out)
        if options.metrics.include_cluster_node_metrics:
            [time] = yield [Command.of("TIME")]  # the times in the answer are of the server's clock
            now_ms = _milliseconds(time)
            for at, node in enumerate(nodes, 1):
                if at % PIECE == 0:
                    yield PAUSE
                _write_node(node, round(out.now * 1000) if now_ms is None else now_ms, out)


def _milliseconds(reply: Reply) -> int | None:
    """Of a reply to TIME: seconds and microseconds. None if it is none."""
    match reply:
        case [bytes() as seconds, bytes() as micros] if (
            seconds.isdigit() and micros.isdigit() and len(seconds) + len(micros) < 24
        ):
            return int(seconds) * 1000 + int(micros) // 1000
    return None


def _write_cluster(nodes: tuple[ClusterNode, ...], out: Out) -> Batches:
    working = [node for node in nodes if "fail" not in node.flags]
    followed = {node.master_id for node in working if node.role == "slave"}
    yield PAUSE
    out.add(
        LONELY,
        sum(bool(node.slots) and node.role == "master" and node.id not in followed for node in working),
    )
    yield PAUSE
    states = [node.state for node in nodes]
    yield PAUSE
    for state in STATES:
        out.add(NODES, states.count(state), state)
    out.add(MIGRATING, sum(node.migrating for node in nodes))
    out.add(IMPORTING, sum(node.importing for node in nodes))


def _write_node(node: ClusterNode, now_ms: int, out: Out) -> None:
    myself = "myself" in node.flags
    labels = (node.id, node.address)
    out.add(INFO, 1, *labels, node.hostname, node.role, node.master_id, "true" if myself else "false")
    out.add(LINK_UP, int(node.connected), *labels)
    out.add(FAIL, int("fail" in node.flags), *labels)
    out.add(PFAIL, int("fail?" in node.flags), *labels)
    out.add(EPOCH, node.config_epoch, *labels)
    out.add(OWNED, node.slot_count, *labels)
    if myself:
        return  # it does not ping itself; what stands there differs by version
    out.add(PING_AGE, max(0, now_ms - node.ping_sent_ms) / 1000 if node.ping_sent_ms else 0, *labels)
    if node.pong_received_ms:
        out.add(PONG_AGE, max(0, now_ms - node.pong_received_ms) / 1000, *labels)
