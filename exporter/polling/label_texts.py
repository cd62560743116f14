"""The labels of one target's series, in the forms that its pages and polls need."""

from __future__ import annotations

from exporter import engine
from exporter.metrics.labels import label_forms, label_text
from exporter.options.metrics_options import MetricsOptions
from exporter.polling.assignment import FamilySets
from exporter.targets.target import Target
from exporter.targets.target_labels import target_labels
from exporter.telemetry.target_series import ROLELESS

ROLE_LABEL = b"instance_role"


class LabelTexts:
    """Labels by the name of a family set: `plain` ones, and the `written` ones, which add the role where the
    options say so.

    `former` are the plain labels of stored series that were written before the labels changed.
    `lane_labels` stand before the label `lane` of an age; that label wins over a configured one of its name.
    """

    __slots__ = (
        "_pairs",
        "_sets",
        "_with_role",
        "former",
        "group",
        "lane_labels",
        "plain",
        "role",
        "written",
    )

    def __init__(self, target: Target, family_sets: FamilySets, metrics: MetricsOptions) -> None:
        self._sets = family_sets
        self._with_role = metrics.append_instance_role_label
        pairs = target_labels(target, metrics.target_labels, metrics.max_label_length, metrics.instance_label)
        if self._with_role:
            pairs = tuple(pair for pair in pairs if pair[0] != ROLE_LABEL)
        self._pairs = pairs
        self.role = ""
        self.group = dict(target.labels).get("group", "")
        self.lane_labels = label_text(pair for pair in pairs if pair[0] != b"lane")
        self.plain = label_forms(family_sets.all, pairs)
        self.former: dict[str, engine.Labels] = {}
        self.written = dict(self.plain) if self._with_role else self.plain

    def labels_of(self, family_set: str) -> engine.Labels:
        """What a page without the target's labels leaves off: all but the role."""
        if self.former and family_set in self.former:
            return self.former[family_set]
        return self.plain[family_set]

    def follow(self, before: LabelTexts) -> None:
        """Take the place of other labels, which the stored series still have."""
        self.former = {name: before.labels_of(name) for name in before.plain if name in self.plain}

    def same_as(self, other: LabelTexts) -> bool:
        """Whether it gives the same labels to the same family sets, the role apart."""
        return self._sets is other._sets and self.group == other.group and self.writes_as(other)

    @property
    def fingerprint(self) -> str:
        """Equal for labels that write the same, the role apart: see `writes_as`."""
        return f"{self._with_role} {label_text(self._pairs).decode()}"

    def writes_as(self, other: LabelTexts) -> bool:
        """Whether a series has the same labels, the role apart."""
        return (self._pairs, self._with_role) == (other._pairs, other._with_role)

    def learn_role(self, role: str) -> bool:
        """Take the role that INFO reports. Returns whether the written labels change."""
        if not self._with_role or role == self.role:
            return False
        self.role = role
        pairs = (*self._pairs, (ROLE_LABEL, engine.escape(role.encode())))
        without_role = {family.name: ROLE_LABEL for family in ROLELESS}
        self.written.update(label_forms(self._sets.all, pairs, without_role))
        return True
