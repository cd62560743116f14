"""What the polls of one target have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter import engine
from exporter.options.table import Options
from exporter.polling.bounds import ReplyBounds
from exporter.polling.memory import TargetMemory
from exporter.protocol.facts import Facts
from exporter.targets.target import Target

DEFAULT_BOUNDS = ReplyBounds()


def learn_nothing(facts: Facts) -> bool:
    """For polls after which nothing changes."""
    return False


@dataclass(frozen=True, slots=True)
class PollContext:
    """See the module; another one takes its place when the target is reassigned.

    `labels` maps a family set's name to the target's labels, which stand before a family's own. `on_facts` is
    called with what INFO reports, and returns whether the labels have changed by it.
    """

    target: Target
    memory: TargetMemory
    labels: Mapping[str, engine.Labels]
    options: Options
    bounds: ReplyBounds = DEFAULT_BOUNDS
    on_facts: Callable[[Facts], bool] = learn_nothing
    connection_max_age_s: float = math.inf
