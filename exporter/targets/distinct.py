"""Targets that the options in use give the same labels: the series of one would be those of another."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.errors import ConfigError
from exporter.options.metrics_options import MetricsOptions
from exporter.targets.target import Target
from exporter.targets.target_labels import INSTANCE, escaped, instance_of

#: what a person has written, and can write otherwise
_WRITTEN = ("flags", "file")


def distinct(targets: Sequence[Target], metrics: MetricsOptions) -> tuple[Sequence[Target], Sequence[str]]:
    """The targets whose labels are their own, and a line for the log about each that is left out: it was
    found, and has the labels of one before it. ConfigError for those of flags and of the configuration
    file."""
    if metrics.target_labels not in (INSTANCE, "never"):
        return targets, ()  # addr is the target's own
    first: dict[bytes, Target] = {}
    mistakes, warnings = [], []
    for target in sorted(targets, key=lambda target: target.source not in _WRITTEN):
        before = first.setdefault(_key(target, metrics), target)
        if before is target:
            continue
        if target.source in _WRITTEN:
            mistakes.append(f"{_clash(before, target, metrics)}; {_ADVICE[metrics.target_labels]}")
        else:
            warnings.append(f"{_clash(before, target, metrics)}: {target.addr} is left out")
    if mistakes:
        raise ConfigError(*mistakes)
    if not warnings:
        return targets, ()
    kept = {target.addr for target in first.values()}
    return [target for target in targets if target.addr in kept], warnings


def _key(target: Target, metrics: MetricsOptions) -> bytes:
    if metrics.target_labels == "never":
        return b""
    return escaped(instance_of(target, metrics.instance_label), metrics.max_label_length)


def _clash(before: Target, target: Target, metrics: MetricsOptions) -> str:
    if metrics.target_labels == "never":
        return f"--target-labels=never with {before.addr} and {target.addr}: all would have the same series"
    instance = instance_of(target, metrics.instance_label)
    return (
        f'--target-labels=instance: {before.addr} and {target.addr} both have the label instance="{instance}"'
    )


_ADVICE = {
    INSTANCE: "leave one of them out, or give one a label instance of its own (labels) in the configuration "
    "file",
    "never": "write --target-labels=auto or always",
}
