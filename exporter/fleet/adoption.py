"""Targets that requests ask for and nobody configured: who is adopted, by whom."""

from __future__ import annotations

from exporter.fleet.adopted import AdoptedTargets
from exporter.fleet.cluster_adoption import ClusterAdoption
from exporter.fleet.fleet import Fleet
from exporter.fleet.requested_targets import RequestedTargets
from exporter.polling.watched_target import WatchedTarget
from exporter.targets.address import parse_address
from exporter.targets.asked import Asked


class Adoption:
    """Finds what a request asks for: a node of a configured target's cluster first, if there are `nodes`,
    then what requests may name."""

    def __init__(
        self,
        fleet: Fleet,
        adopted: AdoptedTargets,
        requested: RequestedTargets,
        nodes: ClusterAdoption | None = None,
    ) -> None:
        self._fleet = fleet
        self._adopted = adopted
        self._requested = requested
        self._nodes = nodes

    @property
    def refused(self) -> int:
        """How many requests there was no room for."""
        return self._adopted.refused

    async def find(self, asked: Asked, deadline: float) -> WatchedTarget | None:
        """The target that a request asks for, polled from now on. None if nobody names it and requests may
        name none.

        Raises ConfigError for a text that is no address, RequestError and NotAllowedError for what may not
        be asked for, and PageError for what cannot be had now or before the (monotonic) deadline.
        """
        base = self._fleet.find(asked.text)
        place = None if base is not None else parse_address(asked.text)
        if place is not None and self._nodes is not None and not asked.auth:
            base = await self._nodes.find(place)
        if base is not None:
            is_paused = base.state.series.paused_until is not None  # it has one page, whatever is asked for
            return base if is_paused or not asked.overrides else self._requested.variant_of(base, asked)
        assert place is not None
        return await self._requested.find(asked, place, deadline)

    async def follow(self) -> None:
        """After a change of the configuration, adopted targets follow it, or go."""
        if self._nodes is not None:
            await self._nodes.follow()
        await self._requested.follow()
        await self._adopted.check()

    async def close(self) -> None:
        """Adopt no more."""
        await self._adopted.close()
