"""Targets that the options in use give the same labels: the series of one would be those of another."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from exporter.errors import ConfigError
from exporter.options.metrics_options import MetricsOptions
from exporter.targets.target import Target
from exporter.targets.target_labels import INSTANCE, escaped, instance_of, target_labels

#: what a person has written, and can write otherwise
_WRITTEN = ("flags", "file")


def distinct(targets: Sequence[Target], metrics: MetricsOptions) -> tuple[Sequence[Target], Sequence[str]]:
    """The targets whose labels are their own, and a line for the log about each that is left out: it was
    found, and has the labels of one before it. ConfigError for those of flags and of the configuration
    file."""
    mode = metrics.target_labels
    if mode not in _ADVICE and not any(_is_cut(target.addr, metrics) for target in targets):
        return targets, ()  # addr is the target's own
    advice = _ADVICE.get(mode, "write a larger one")
    first: dict[Hashable, Target] = {}
    mistakes, warnings = [], []
    for target in sorted(targets, key=lambda target: target.source not in _WRITTEN):
        before = first.setdefault(_key(target, metrics), target)
        if before is target:
            continue
        if target.source in _WRITTEN:
            mistakes.append(f"{_clash(before, target, metrics)}; {advice}")
        else:
            warnings.append(f"{_clash(before, target, metrics)}: {target.addr} is left out")
    if mistakes:
        raise ConfigError(*mistakes)
    if not warnings:
        return targets, ()
    kept = {target.addr for target in first.values()}
    return [target for target in targets if target.addr in kept], warnings


def clash_key(target: Target, metrics: MetricsOptions) -> Hashable | None:
    """Equal for two targets that may not be on one page. None: no other target has its labels."""
    if metrics.target_labels not in _ADVICE and not _is_cut(target.addr, metrics):
        return None
    return _key(target, metrics)


def _is_cut(addr: str, metrics: MetricsOptions) -> bool:
    return len(addr.encode("utf-8", "replace")) > metrics.max_label_length


def _key(target: Target, metrics: MetricsOptions) -> Hashable:
    if metrics.target_labels == INSTANCE:
        return escaped(instance_of(target, metrics.instance_label), metrics.max_label_length)
    return target_labels(target, metrics.target_labels, metrics.max_label_length)


def _clash(before: Target, target: Target, metrics: MetricsOptions) -> str:
    if metrics.target_labels == "never":
        return f"--target-labels=never with {before.addr} and {target.addr}: all would have the same series"
    if metrics.target_labels != INSTANCE:
        length = metrics.max_label_length
        return f"--max-label-length={length}: {before.addr} and {target.addr} would have the same labels"
    instance = instance_of(target, metrics.instance_label)
    return (
        f'--target-labels=instance: {before.addr} and {target.addr} both have the label instance="{instance}"'
    )


_ADVICE = {
    INSTANCE: "leave one of them out, or give one a label instance of its own (labels) in the configuration "
    "file",
    "never": "write --target-labels=auto or always",
}
