"""Target groups in the form of Prometheus' file_sd and http_sd: a list of `{targets: […], labels: {…}}`.

No message of this module holds a piece of an address: a mangled one may have its password anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from exporter.errors import ConfigError
from exporter.options import lengths
from exporter.options.yaml_reader import YamlTextError, read_yaml
from exporter.targets.address import parse_address
from exporter.targets.shared_keys import LABELS_MAX, label_fault
from exporter.targets.source import merge
from exporter.targets.target import Source, Target

#: labels that are no labels of the target: its name here, and the group of the configuration file whose
#: settings it has
ALIAS, GROUP = "alias", "__group__"
#: mistakes that are kept of one list
FAULTS_MAX = 20

_KEYS = {"targets", "labels"}
_EXAMPLE = 'write [{"targets": ["redis://host:6379"], "labels": {"env": "production"}}]'


class TargetGroupsError(ValueError):
    """The text is no list of target groups, so nothing of it is used."""


class Found(NamedTuple):
    """The targets of a list, each address once, and what is wrong with others and with labels."""

    targets: Sequence[Target]
    faults: Sequence[str]


def read_json(text: str, source: Source) -> Found:
    """Raises TargetGroupsError."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = f" ({error.msg}, line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise TargetGroupsError(f"not valid JSON{why}: {_EXAMPLE}") from None
    return _read(content, source)


def read_yaml_text(text: str, source: Source) -> Found:
    """Raises TargetGroupsError."""
    try:
        content = read_yaml(text)
    except YamlTextError as error:
        raise TargetGroupsError(f"{f'line {error.line}: ' if error.line else ''}{error}") from None
    return _read([] if content is None else content, source)


def _read(content: Any, source: Source) -> Found:
    if not isinstance(content, list):
        raise TargetGroupsError(f"it is no list of target groups: {_EXAMPLE}")
    targets: list[Target] = []
    faults: list[str] = []
    for number, group in enumerate(content, 1):
        names, labels = _parts(f"group {number}", group)
        place = _place(f"group {number}", labels, faults)
        for at, name in enumerate(names, 1):
            try:
                target = parse_address(name)
            except ConfigError as error:
                faults.append(f"group {number}, target {at}: {error}")
                continue
            targets.append(replace(target, source=source, **place))
    return Found(merge([targets]), tuple(faults[:FAULTS_MAX]))


def _parts(where: str, group: Any) -> tuple[list[str], dict[str, str]]:
    """The two parts of a group, which Prometheus would take."""
    if not isinstance(group, dict):
        raise TargetGroupsError(f"{where} is no map: {_EXAMPLE}")
    if group.keys() - _KEYS:
        raise TargetGroupsError(f"{where}: only targets and labels may be keys of a group: {_EXAMPLE}")
    names, labels = group.get("targets") or [], group.get("labels") or {}
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TargetGroupsError(f"{where}: targets must be a list of texts: {_EXAMPLE}")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise TargetGroupsError(f"{where}: labels must be a map of texts: {_EXAMPLE}")
    return names, labels


def _place(where: str, labels: dict[str, str], faults: list[str]) -> dict[str, Any]:
    """What the labels of a group make of its targets. One that cannot be used is left off."""
    kept: dict[str, str] = {}
    for name, value in labels.items():
        if name.startswith("__") or name == ALIAS:
            continue
        fault = label_fault(name)
        if fault:
            faults.append(f"{where}, label {name[:60]!r} is left off: {fault}")
        else:
            kept[name] = value
    if len(kept) > LABELS_MAX:
        faults.append(f"{where}: of {len(kept):,} labels only the first {LABELS_MAX} are used")
    alias = labels.get(ALIAS, "")
    if len(alias) > lengths.NAME_MAX:
        faults.append(f"{where}, label alias: {lengths.fault(alias, lengths.NAME_MAX)}")
        alias = ""
    return {
        "alias": alias,
        "labels": tuple(kept.items())[:LABELS_MAX],
        "settings_group": labels.get(GROUP, ""),
    }
