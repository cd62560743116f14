"""A dashboard: its rows of panels, laid out on Grafana's grid of 24 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.src.panels import SOURCE, TAG, Panel, uid_of
from deploy.grafana.src.variables import Variable, source

COLUMNS = 24


@dataclass(frozen=True)
class Row:
    """A title and what stands below it. One that is `folded` asks Prometheus only when somebody opens it."""

    title: str
    panels: Sequence[Panel]
    folded: bool = False


@dataclass(frozen=True)
class Event:
    """What every graph marks with a line: the moments at which the query has data."""

    name: str
    expr: str
    color: str


@dataclass(frozen=True)
class Board:
    """`name` makes the file and, behind `redpoll-`, the uid: both stay as they are for ever, as links use
    them. `takes` names the variables whose values links from other dashboards bring."""

    name: str
    title: str
    shows: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    range: str = "now-3h"
    events: Sequence[Event] = ()
    takes: Sequence[str] = ("job", "group")

    @property
    def uid(self) -> str:
        return uid_of(self.name)

    def text(self, boards: Sequence[Board]) -> str:
        """The dashboard as JSON, always the same for the same code. It has a link to each of the `boards`."""
        built = self._frame(boards).build()
        built.panels = _laid_out(self.rows)
        return JSONEncoder(sort_keys=True, indent=1).encode(built) + "\n"

    def _frame(self, boards: Sequence[Board]) -> dashboard.Dashboard:
        frame = dashboard.Dashboard(self.title).uid(self.uid).description(self.shows).tags([TAG, "redis"])
        frame = frame.time(self.range, "now").refresh("30s").timezone("browser")
        frame = frame.tooltip(model.DashboardCursorSync.CROSSHAIR).editable()
        for each in boards:
            if each.name != self.name:
                frame = frame.link(self._link_to(each))
        for variable in (source(), *(each.make() for each in self.variables)):
            frame = frame.with_variable(variable)
        for event in self.events:
            frame = frame.annotation(_annotation(event))
        return frame

    def _link_to(self, other: Board) -> dashboard.DashboardLink:
        """A link that takes along the data source, the time range, and what is chosen here and the other one
        takes."""
        names = ["datasource", *(each.name for each in self.variables if each.name in other.takes)]
        chosen = "&".join(f"${{{name}:queryparam}}" for name in names)
        link = dashboard.DashboardLink(other.title).type(model.DashboardLinkType.LINK)
        return link.url(f"/d/{other.uid}?{chosen}").keep_time(True).tooltip(other.shows)


def _annotation(event: Event) -> dashboard.AnnotationQuery:
    drawn = dashboard.AnnotationQuery().name(event.name).datasource(SOURCE).expr(event.expr)
    return drawn.enable(True).hide(False).icon_color(event.color)


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
