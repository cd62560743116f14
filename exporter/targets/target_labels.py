"""The labels of all series of a target."""

from __future__ import annotations

from exporter import engine
from exporter.targets.target import Target


def target_labels(target: Target, mode: str, label_max: int = 1024) -> tuple[tuple[bytes, bytes], ...]:
    """The labels of all series of a target, escaped: addr, alias if there is one, and the configured labels.
    With the mode `never` there are none."""
    if mode == "never":
        return ()
    pairs = [("addr", target.addr)]
    if target.alias:
        pairs.append(("alias", target.alias))
    pairs.extend(target.labels)
    return tuple(
        (name.encode(), engine.escape(value.encode("utf-8", "replace"), label_max)) for name, value in pairs
    )
