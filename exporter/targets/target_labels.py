"""The labels of all series of a target."""

from __future__ import annotations

from exporter import engine
from exporter.targets.target import Target

#: the label that says which target a series is of, as Prometheus itself names it
INSTANCE = "instance"


def target_labels(
    target: Target, mode: str, label_max: int = 1024, instance_by: str = "address"
) -> tuple[tuple[bytes, bytes], ...]:
    """The labels of all series of a target, escaped: addr, alias if there is one, the configured labels, and
    what discovery knows of it. With the mode `instance` the label instance stands in place of addr and alias.
    With `never` there are none."""
    if mode == "never":
        return ()
    if mode == INSTANCE:
        pairs = instance_labels(target, instance_by)
    else:
        pairs = [("addr", target.addr)]
        if target.alias:
            pairs.append(("alias", target.alias))
        pairs.extend(own_labels(target))
    return tuple((name.encode(), escaped(value, label_max)) for name, value in pairs)


def instance_labels(target: Target, by: str) -> list[tuple[str, str]]:
    """Its labels as if Prometheus scraped it by itself: instance, and its own ones."""
    others = [pair for pair in own_labels(target) if pair[0] != INSTANCE]
    return [(INSTANCE, instance_of(target, by)), *others]


def own_labels(target: Target) -> tuple[tuple[str, str], ...]:
    """The configured labels, and those that discovery gives it under other names."""
    if target.node is None:
        return target.labels
    configured = dict(target.labels)
    return (*target.labels, *(pair for pair in target.node.labels if pair[0] not in configured))


def instance_of(target: Target, by: str = "address") -> str:
    """What Prometheus would call a target that it scrapes by itself: the label instance that is configured
    for it; or `by` alias its alias; or its address without the scheme, which of a socket is the path."""
    configured = dict(target.labels).get(INSTANCE)
    if configured:
        return configured
    if by == "alias" and target.alias:
        return target.alias
    return target.addr.partition("://")[2]


def escaped(value: str, label_max: int) -> bytes:
    """A value as series have it."""
    return engine.escape(value.encode("utf-8", "replace"), label_max)
