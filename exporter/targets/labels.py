"""The labels of every series of a target."""

from __future__ import annotations

from exporter import engine
from exporter.targets.target import Target


def target_labels(target: Target, mode: str, label_max: int = 1024) -> tuple[tuple[bytes, bytes], ...]:
    """The labels every series of a target bears, escaped: addr, alias where it is named, the configured
    ones. None with `never`."""
    if mode == "never":
        return ()
    pairs = [("addr", target.addr)]
    if target.alias:
        pairs.append(("alias", target.alias))
    pairs.extend(target.labels)
    return tuple(
        (name.encode(), engine.escape(value.encode("utf-8", "replace"), label_max)) for name, value in pairs
    )
