"""A dashboard: its rows of panels, laid out on Grafana's grid of 24 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.src.panels import Panel
from deploy.grafana.src.variables import Variable, source

COLUMNS = 24
TAG = "redpoll"


@dataclass(frozen=True)
class Row:
    """A title and what stands below it. One that is `folded` asks Prometheus only when somebody opens it."""

    title: str
    panels: Sequence[Panel]
    folded: bool = False


@dataclass(frozen=True)
class Board:
    """`name` makes the file and, behind `redpoll-`, the uid: both stay as they are for ever, as links use
    them."""

    name: str
    title: str
    shows: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    range: str = "now-3h"

    @property
    def uid(self) -> str:
        return f"{TAG}-{self.name}"

    def text(self) -> str:
        """The dashboard as JSON, always the same for the same code."""
        built = self._frame().build()
        built.panels = _laid_out(self.rows)
        return JSONEncoder(sort_keys=True, indent=1).encode(built) + "\n"

    def _frame(self) -> dashboard.Dashboard:
        links = (
            dashboard.DashboardLink("Redis")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
        frame = dashboard.Dashboard(self.title).uid(self.uid).description(self.shows).tags([TAG, "redis"])
        frame = frame.time(self.range, "now").refresh("30s").timezone("browser").link(links)
        frame = frame.tooltip(model.DashboardCursorSync.CROSSHAIR).editable()
        for variable in (source(), *self.variables):
            frame = frame.with_variable(variable)
        return frame


def _laid_out(rows: Sequence[Row]) -> list[model.Panel | model.RowPanel]:
    """The panels with their numbers and places: from left to right, a new line where the next one does not
    fit."""
    found: list[model.Panel | model.RowPanel] = []
    top = number = 0
    for row in rows:
        number += 1
        head = model.RowPanel(title=row.title, id_val=number, collapsed=row.folded)
        head.grid_pos = model.GridPos(x=0, y=top, w=COLUMNS, h=1)
        found.append(head)
        top += 1
        left = line = 0
        for maker in row.panels:
            number += 1
            panel = maker.build()
            assert panel.grid_pos is not None
            if left + panel.grid_pos.w > COLUMNS:
                left, top, line = 0, top + line, 0
            panel.id_val = number
            panel.grid_pos.x, panel.grid_pos.y = left, top
            left += panel.grid_pos.w
            line = max(line, panel.grid_pos.h)
            (head.panels if row.folded else found).append(panel)
        top = head.grid_pos.y + 1 if row.folded else top + line
    return found
