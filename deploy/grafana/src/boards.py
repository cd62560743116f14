"""All dashboards, in the order in which links show them."""

from __future__ import annotations

from deploy.grafana.src import cluster, exporter, fleet, instance, keys, replication

BOARDS = (fleet.BOARD, instance.BOARD, cluster.BOARD, replication.BOARD, keys.BOARD, exporter.BOARD)
