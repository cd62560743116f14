"""What the reader chooses above the panels: data source, job, instances and so on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.src.panels import SOURCE

Made = Builder[model.VariableModel]


@dataclass(frozen=True)
class Variable:
    """Its name in queries, and what makes it."""

    name: str
    make: Callable[[], Made]


def source() -> Made:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def choice(name: str, label: str, metric: str, *, of: str = "", several: bool = True) -> Variable:
    """The values of the label `of`, by default called as the variable is, among the series of a metric. With
    `several` any number of them, and all at first; series without the label belong to all."""

    def make() -> Made:
        variable = (
            dashboard.QueryVariable(name)
            .label(label)
            .datasource(SOURCE)
            .query({"query": f"label_values({metric}, {of or name})", "refId": name})
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.NATURAL_ASC)
        )
        if not several:
            return variable
        everything = model.VariableOption(text="All", value="$__all", selected=True)
        return variable.multi(True).include_all(True).all_value(".*").current(everything)

    return Variable(name, make)


def counts(name: str, label: str, *values: int) -> Variable:
    """One of some numbers; the first one at first."""

    def make() -> Made:
        options = [
            model.VariableOption(text=str(value), value=str(value), selected=value == values[0])
            for value in values
        ]
        texts = ", ".join(map(str, values))
        return dashboard.CustomVariable(name).label(label).values(texts).options(options).current(options[0])

    return Variable(name, make)
