"""All targets in the form of Prometheus' http_sd, for `/sd`.

Nothing is sent for it: what is known of a server comes from its newest polls.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from exporter.protocol.facts import Facts
from exporter.single_flight import SingleFlight
from exporter.targets.target import Target
from exporter.targets.target_labels import instance_labels

#: what relabelling may use and no series has
META = "__meta_redis_"
#: targets that are written before the event loop may go on: 20 take 0.2 ms
HANDFUL = 20


class ListedTarget(Protocol):
    """What the list needs of one target."""

    @property
    def target(self) -> Target: ...
    @property
    def facts(self) -> Facts | None: ...


class _Entry(NamedTuple):
    group: str
    text: str


class TargetLister:
    """Lists the `members`, whose label instance is their address or alias, as `instance_by` says. `share`
    returns when the event loop has time. `role_of` knows the newest role of a target that others name.
    Requests that come while a list is made share the next one."""

    def __init__(
        self,
        members: Callable[[], Iterable[ListedTarget]],
        share: Callable[[], Awaitable[None]],
        instance_by: str = "address",
        role_of: Callable[[str], str] = lambda addr: "",
    ) -> None:
        self._members = members
        self._instance_by = instance_by
        self._role_of = role_of
        self._share = share
        self._entries = SingleFlight(self._write)

    async def written(self, group: str | None = None) -> str:
        """JSON of all targets, or of those whose label `group` has this value."""
        entries = await self._entries.run()
        await self._share()
        chosen = ",\n".join([each.text for each in entries if group is None or each.group == group])
        return f"[{chosen}]"

    async def _write(self) -> list[_Entry]:
        entries = []
        for number, member in enumerate(list(self._members())):
            if number % HANDFUL == 0:
                await self._share()
            # of an endpoint the nodes are listed, and what is elsewhere is listed there
            if not member.target.is_apart:
                entries.append(_entry(member, self._instance_by, self._role_of(member.target.addr)))
        return entries


def _entry(member: ListedTarget, instance_by: str, role: str) -> _Entry:
    target = member.target
    labels = {**dict(instance_labels(target, instance_by)), **dict(_meta(target, member.facts, role))}
    known = {name: value for name, value in labels.items() if value}
    return _Entry(
        dict(target.labels).get("group", ""), json.dumps({"targets": [target.addr], "labels": known})
    )


def _meta(target: Target, facts: Facts | None, role: str) -> Iterator[tuple[str, str]]:
    """What is not known is empty. `role` is newer than that of the facts."""
    yield META + "alias", target.alias
    yield META + "source", target.source
    yield META + "group", target.settings_group
    if target.node is not None:
        for name in ("cluster", "shard", "node_id", "master_name"):
            yield META + name, getattr(target.node, name)
    yield META + "role", role or (facts.role if facts is not None else "")
    if facts is not None:
        yield META + "mode", facts.mode
        yield META + "flavor", facts.flavor
        yield META + "version", ".".join(map(str, facts.flavor_version)) if any(facts.flavor_version) else ""
