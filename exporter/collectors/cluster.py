"""CLUSTER INFO of a cluster node: how it sees the cluster, and the messages of the cluster bus.

Valkey 9.1 repeats most of it in INFO. The rows are only here, so that each family has one source on every
version.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import Family, Field, NameSet, Transform, counter, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import Command
from exporter.protocol.facts import Facts

#: of messages of the bus, as CLUSTER INFO spells them
MESSAGES = {
    "ping": "PING",
    "pong": "PONG",
    "meet": "MEET",
    "fail": "FAIL",
    "publish": "PUBLISH",
    "publishshard": "PUBLISHSHARD",
    "auth-req": "FAILOVER_AUTH_REQUEST",
    "auth-ack": "FAILOVER_AUTH_ACK",
    "update": "UPDATE",
    "mfstart": "MFSTART",
    "module": "MODULE",
}

go_gauge = partial(gauge, name_set=NameSet.GO)


def _messages(spelled: str, name: str, way: str) -> Family:
    key = f"cluster_stats_messages_{spelled}_{way}"
    return go_gauge(key.replace("-", "_"), f"{name} messages {way} on the cluster bus.", Field(key))


FAMILIES = (
    go_gauge(
        "cluster_state",
        "1 if the node reports the cluster as ok.",
        Field("cluster_state", Transform.FLAG),
    ),
    go_gauge("cluster_slots_assigned", "Slots that are assigned to a node.", Field("cluster_slots_assigned")),
    go_gauge("cluster_slots_ok", "Slots of nodes that are reachable.", Field("cluster_slots_ok")),
    go_gauge(
        "cluster_slots_pfail",
        "Slots of nodes that this node cannot reach, before the cluster agrees.",
        Field("cluster_slots_pfail"),
    ),
    go_gauge("cluster_slots_fail", "Slots of nodes that have failed.", Field("cluster_slots_fail")),
    go_gauge(
        "cluster_known_nodes",
        "Nodes that the node knows, including those in handshake.",
        Field("cluster_known_nodes"),
    ),
    go_gauge("cluster_size", "Masters that serve slots.", Field("cluster_size")),
    go_gauge("cluster_current_epoch", "Epoch of the cluster.", Field("cluster_current_epoch")),
    go_gauge(
        "cluster_my_epoch",
        "Configuration epoch of the node itself, or of its master.",
        Field("cluster_my_epoch"),
    ),
    go_gauge(
        "cluster_messages_sent_total",
        "Messages sent on the cluster bus.",
        Field("cluster_stats_messages_sent"),
    ),
    go_gauge(
        "cluster_messages_received_total",
        "Messages received on the cluster bus.",
        Field("cluster_stats_messages_received"),
    ),
    *(_messages(spelled, name, way) for way in ("sent", "received") for spelled, name in MESSAGES.items()),
    go_gauge(
        "cluster_nodes_pfail",
        "Nodes that this node cannot reach, before the cluster agrees.",
        Field("cluster_nodes_pfail"),
        since="valkey 9.1",
    ),
    go_gauge(
        "cluster_nodes_fail", "Nodes that have failed.", Field("cluster_nodes_fail"), since="valkey 9.1"
    ),
    go_gauge(
        "cluster_voting_nodes_pfail",
        "Masters with slots that this node cannot reach, before the cluster agrees.",
        Field("cluster_voting_nodes_pfail"),
        since="valkey 9.1",
    ),
    go_gauge(
        "cluster_voting_nodes_fail",
        "Masters with slots that have failed.",
        Field("cluster_voting_nodes_fail"),
        since="valkey 9.1",
    ),
    *(
        go_gauge(f"{key}_{way}", f"Bytes {way} {what}.", Field(f"{key}_{way}"), since="valkey 9.1")
        for key, what in (
            ("cluster_stats_bytes", "on the cluster bus"),
            ("cluster_stats_pubsub_bytes", "as published messages on the cluster bus"),
            ("cluster_stats_module_bytes", "as messages of modules on the cluster bus"),
        )
        for way in ("sent", "received")
    ),
    *(
        go_gauge(f"cluster_slot_migration_{key}", text, Field(f"cluster_slot_migration_{key}"), since="8.4")
        for key, text in (
            ("active_tasks", "Slots' moves that are under way."),
            ("active_trim_running", "Jobs that delete keys of slots that have moved away."),
            ("active_trim_current_job_keys", "Keys that the current of these jobs has to delete."),
            ("active_trim_current_job_trimmed", "Keys that the current of these jobs has deleted."),
            ("stats_active_trim_started", "Jobs of this kind that were started."),
            ("stats_active_trim_completed", "Jobs of this kind that have ended."),
            ("stats_active_trim_cancelled", "Jobs of this kind that were stopped."),
        )
    ),
    counter(
        "cluster_links_buffer_limit_exceeded_total",
        "Links to other nodes that were closed because of too large buffers.",
        Field("total_cluster_links_buffer_limit_exceeded"),
        since="7.0",
    ),
)


class ClusterCollector(Collector[None]):
    name = "cluster"
    help = "CLUSTER INFO."
    lane = Lane.FAST
    families = FAMILIES
    reads_again = True

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.cluster_enabled and not facts.loading

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+cluster|info",)

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [text] = yield [Command.of("CLUSTER", "INFO")]
        raise_failure(text)
        if isinstance(text, ReplyError):
            return
        if not isinstance(text, bytes):
            raise ProtocolError("the reply to CLUSTER INFO is not a text")
        out.info(text)

    def read_again(self, facts: Facts, options: Options, out: Out, replies: Sequence[bytes | None]) -> bool:
        [text] = replies
        if text is not None:
            out.info(text)
        return True
