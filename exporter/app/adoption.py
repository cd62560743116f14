"""What adopts targets that requests ask for, for one backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from exporter.app.build import Configuration
from exporter.connection.dialer import Dialer
from exporter.connection.node_addresses import NodeAddresses
from exporter.connection.requested_addresses import check
from exporter.fleet.adopted import AdoptedTargets, AdoptionLimits
from exporter.fleet.adoption import Adoption
from exporter.fleet.cluster_adoption import ClusterAdoption
from exporter.fleet.fleet import Fleet
from exporter.fleet.requested_targets import RequestedTargets
from exporter.polling.assignment import node_assignment


def make_adoption(fleet: Fleet, dialer: Dialer, configuration: Callable[[], Configuration]) -> Adoption:
    """`configuration` gives the one in use."""
    options = configuration().options
    adopted = AdoptedTargets(fleet, lambda: _limits(dialer, configuration()))
    requested = RequestedTargets(
        fleet,
        adopted,
        lambda: configuration().access,
        lambda target: configuration().assigner.assign(target),
        partial(check, dialer),
    )
    nodes = ClusterAdoption(
        fleet,
        adopted,
        node_assignment,
        NodeAddresses(dialer).find_for,
        hostnames=options.web.cluster_discover_hostnames,
    )
    return Adoption(fleet, adopted, requested, nodes if options.redis.is_cluster else None)


def _limits(dialer: Dialer, configuration: Configuration) -> AdoptionLimits:
    targets = configuration.options.targets
    files = dialer.descriptors.connections_max - configuration.connections
    return AdoptionLimits(
        targets.scrape_forget_after_s,
        targets.scrape_max_targets,
        max(0, files // configuration.connections_each),
        targets.scrape_on_page,
    )
