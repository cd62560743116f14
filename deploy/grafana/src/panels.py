"""Makes panels. Each takes its title, what it shows in a sentence, its unit and its queries.

Units are Grafana's: `bytes`, `s`, `short`, `percentunit` (0 to 1), `ops`, `Bps` and so on. A width is in the
24 columns of Grafana, a height in its rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import prometheus as prom
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.src.lanes import step_of

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "redpoll"

GREEN, BLUE, ORANGE, RED, GREY, PURPLE = "green", "blue", "orange", "red", "text", "purple"
#: (from, color), in order; the first one holds below the second
Steps = Sequence[tuple[float | None, str]]
#: value → (text, color)
Words = Mapping[str, tuple[str, str]]
PLAIN: Steps = ((None, BLUE),)
#: more than none is bad
NONE: Steps = ((None, GREEN), (1, RED))
#: as little as 1 of several is bad
FULL: Steps = ((None, RED), (1, GREEN))
UP: Words = {"0": ("down", RED), "1": ("up", GREEN)}
YES: Words = {"0": ("no", GREY), "1": ("yes", GREEN)}
OK: Words = {"0": ("failed", RED), "1": ("ok", GREEN)}

Panel = Builder[model.Panel]


@dataclass(frozen=True)
class Query:
    """A query in PromQL; the legend is a template such as `{{instance}}`, and in tables the title of its
    column, with a `unit` of its own and `steps` that color its cells."""

    expr: str
    legend: str = ""
    unit: str = ""
    steps: Steps = ()
    words: Words | None = None


def query(expr: str, legend: str = "{{instance}}") -> Query:
    return Query(expr, legend)


def uid_of(board: str) -> str:
    """The uid of the dashboard with this name."""
    return f"{TAG}-{board}"


class _Common(Protocol):
    """What the makers of all panels have."""

    def title(self: _P, title: str) -> _P: ...
    def description(self: _P, description: str) -> _P: ...
    def unit(self: _P, unit: str) -> _P: ...
    def span(self: _P, w: int) -> _P: ...
    def height(self: _P, h: int) -> _P: ...
    def no_value(self: _P, no_value: str) -> _P: ...
    def datasource(self: _P, datasource: model.DataSourceRef) -> _P: ...
    def with_target(self: _P, target: prom.Dataquery) -> _P: ...


_P = TypeVar("_P", bound=_Common)


def _target(asked: Query, number: int) -> prom.Dataquery:
    target = prom.Dataquery().expr(" ".join(asked.expr.split())).datasource(SOURCE)
    target = target.legend_format(asked.legend).ref_id(chr(ord("A") + number))
    step = step_of(asked.expr)
    return target.interval(step) if step else target


def _begin(maker: _P, title: str, shows: str, unit: str, size: tuple[int, int]) -> _P:
    width, height = size
    return maker.title(title).description(shows).unit(unit).span(width).height(height).datasource(SOURCE)


def _reason(shows: str) -> str:
    """The sentence of a description that says why there may be no data; else that there is none."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", shows)
    found = [each for each in sentences if each.startswith(("Needs", "Empty", "No line"))]
    return found[0].replace("`", "") if found else "No data"


def _ranges(maker: _P, queries: Sequence[Query]) -> _P:
    for number, asked in enumerate(queries):
        maker = maker.with_target(_target(asked, number).range())
    return maker


def _instants(maker: _P, queries: Sequence[Query], form: PromQueryFormat = PromQueryFormat.TIME_SERIES) -> _P:
    for number, asked in enumerate(queries):
        maker = maker.with_target(_target(asked, number).instant().format(form))
    return maker


def _steps(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def _words(words: Words) -> list[model.ValueMapping]:
    results = {
        value: model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(words.items())
    }
    return [model.ValueMap(results)]


def _colored(mode: model.FieldColorModeId) -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(mode)


def graph(
    title: str,
    shows: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    height: int = 8,
    stack: bool = False,
    top: float | None = None,
    steps: Steps = (),
    log: bool = False,
) -> Panel:
    """Lines over time. `top` is the end of the axis, `steps` are drawn as lines, `log` makes the axis
    logarithmic."""
    maker = _ranges(_begin(timeseries.Panel(), title, shows, unit, (width, height)), queries)
    maker = (
        maker.no_value(_reason(shows))
        .line_width(1)
        .fill_opacity(60 if stack else 8)
        .show_points(looks.VisibilityMode.NEVER)
    )
    maker = maker.legend(
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.TABLE if width >= 12 else looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.RIGHT if width >= 12 else looks.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"] if width >= 12 else [])
    )
    maker = maker.tooltip(
        common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
    )
    if not log:
        maker = maker.axis_soft_min(0)
    else:
        maker = maker.scale_distribution(
            common.ScaleDistributionConfig().type(looks.ScaleDistribution.LOG).log(10)
        )
    if stack:
        maker = maker.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    if top is not None:
        maker = maker.max(top)
    if steps:
        maker = maker.thresholds(_steps(steps)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED)
        )
    return maker


def number(
    title: str,
    shows: str,
    unit: str,
    asked: Query | str,
    *,
    width: int = 3,
    steps: Steps = PLAIN,
    words: Words | None = None,
    decimals: int | None = None,
    name: bool = False,
    none: str = "-",
) -> Panel:
    """One value, as large as fits. With `name` the legend is shown in its place, and `none` if there is no
    value."""
    asked = Query(asked) if isinstance(asked, str) else asked
    maker = _instants(_begin(stat.Panel(), title, shows, unit, (width, 4)), [asked])
    maker = maker.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    maker = (
        maker.no_value(none)
        .graph_mode(looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.VALUE)
    )
    maker = maker.text_mode(looks.BigValueTextMode.NAME if name else looks.BigValueTextMode.VALUE)
    maker = maker.color_scheme(_colored(model.FieldColorModeId.THRESHOLDS)).thresholds(_steps(steps))
    if words is not None:
        maker = maker.mappings(_words(words))
    if decimals is not None:
        maker = maker.decimals(decimals)
    return maker


def bars(
    title: str,
    shows: str,
    unit: str,
    asked: Query,
    *,
    width: int = 8,
    height: int = 8,
    steps: Steps = PLAIN,
    top: float | None = None,
) -> Panel:
    """A bar for each series, as it is now."""
    maker = _instants(_begin(bargauge.Panel(), title, shows, unit, (width, height)), [asked])
    maker = maker.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    maker = (
        maker.no_value(_reason(shows))
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
    )
    maker = maker.color_scheme(_colored(model.FieldColorModeId.THRESHOLDS)).thresholds(_steps(steps)).min(0)
    return maker if top is None else maker.max(top)


def timeline(
    title: str, shows: str, asked: Query, words: Words, *, width: int = 12, height: int = 8
) -> Panel:
    """A row for each series, colored by its state; twenty rows a page."""
    maker = _ranges(_begin(statetimeline.Panel(), title, shows, "short", (width, height)), [asked])
    maker = (
        maker.no_value(_reason(shows)).mappings(_words(words)).merge_values(True).row_height(0.8).per_page(20)
    )
    maker = maker.show_value(looks.VisibilityMode.NEVER).fill_opacity(80).line_width(0)
    maker = maker.color_scheme(_colored(model.FieldColorModeId.THRESHOLDS)).thresholds(_steps(PLAIN))
    return maker.legend(common.VizLegendOptions().show_legend(False))


def buckets(title: str, shows: str, unit: str, asked: Query, *, width: int = 12, height: int = 8) -> Panel:
    """A heat map of a histogram's buckets: the query sums their increase by `le`."""
    maker = _begin(heatmap.Panel(), title, shows, unit, (width, height))
    maker = maker.with_target(_target(Query(asked.expr, "{{le}}"), 0).range().format(PromQueryFormat.HEATMAP))
    return _heat(maker, unit).no_value(_reason(shows)).calculate(False)


def spread(title: str, shows: str, unit: str, asked: Query, *, width: int = 12, height: int = 8) -> Panel:
    """A heat map of how the values of all series are spread: Grafana counts them into buckets."""
    maker = _ranges(_begin(heatmap.Panel(), title, shows, unit, (width, height)), [asked])
    scale = common.ScaleDistributionConfig().type(looks.ScaleDistribution.LOG).log(2)
    counted = common.HeatmapCalculationOptions().y_buckets(
        common.HeatmapCalculationBucketConfig().mode(looks.HeatmapCalculationMode.COUNT).scale(scale)
    )
    return _heat(maker, unit).no_value(_reason(shows)).calculate(True).calculation(counted)


def _heat(maker: heatmap.Panel, unit: str) -> heatmap.Panel:
    colors = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Turbo")
    maker = maker.color(colors.steps(64).exponent(0.5).fill("dark-orange")).cell_gap(1)
    maker = maker.y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(looks.AxisPlacement.LEFT))
    maker = maker.filter_values(heatmap.FilterValueRange().le(1e-9)).show_legend()
    return maker.mode(looks.TooltipDisplayMode.SINGLE).show_y_histogram()


def rows(
    title: str,
    shows: str,
    *columns: Query,
    labels: Mapping[str, str],
    width: int = 12,
    height: int = 8,
    sort: str = "",
    descending: bool = True,
) -> Panel:
    """A table. `labels` become columns, with these titles and in this order; then comes a column for each
    query, titled by its legend; one without a legend only brings labels. `sort` is a title."""
    maker = _begin(
        table.Panel(), title, shows, "short", (width, height)
    )  # it would show a reason in each empty cell
    maker = _instants(maker, columns, PromQueryFormat.TABLE).filterable(True)
    several = len(columns) > 1
    names = {
        f"Value #{chr(ord('A') + number)}" if several else "Value": each.legend
        for number, each in enumerate(columns)
        if each.legend
    }
    shown = [*labels, *names]
    if several:
        maker = maker.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    only = {"include": {"names": shown}}
    maker = maker.with_transformation(model.DataTransformerConfig(id_val="filterFieldsByName", options=only))
    order: dict[str, object] = {
        "indexByName": {name: place for place, name in enumerate(shown)},
        "renameByName": {**labels, **names},
    }
    maker = maker.with_transformation(model.DataTransformerConfig(id_val="organize", options=order))
    if sort:
        maker = maker.sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
    for each in columns:
        if each.legend:
            maker = maker.override_by_name(each.legend, _cells(each))
    if "instance" in labels:
        job = f"&var-job=${{__data.fields.{labels['job']}}}" if "job" in labels else ""
        url = f"/d/{uid_of('instance')}?var-instance=${{__value.raw}}{job}"
        link = {"title": "Show it", "url": f"{url}&${{datasource:queryparam}}&${{__url_time_range}}"}
        maker = maker.override_by_name(labels["instance"], [_property("links", [link])])
    return maker


def _cells(column: Query) -> list[model.DynamicConfigValue]:
    found = [_property("unit", column.unit or "short")]
    if column.words is not None:
        found.append(_property("mappings", _words(column.words)))
    if column.steps or column.words is not None:
        found.append(_property("thresholds", _steps(column.steps or PLAIN).build()))
        found.append(_property("custom.cellOptions", {"type": "color-text"}))
    return found


def _property(name: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)
