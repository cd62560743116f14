"""`redis_exporter docs metrics|options`: the pages of the documentation that come from the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.catalog import full_name
from exporter.collector import Collector
from exporter.commandline import parse
from exporter.errors import UsageError
from exporter.exposition import AGE
from exporter.model import Dialect, Family
from exporter.options import OPTIONS, rows
from exporter.registry import REGISTRY
from exporter.vitals import FAMILIES as VITALS

NAMESPACE = "redis"
#: text of a value that switches something on, by the form of the option
EXAMPLES = {"[DB=]KEY,…": "key,pattern*", "PATTERN,…": "(.*)", "name,…": "name", "FILE,…": __file__}
DIALECTS = {Dialect.GO: "", Dialect.HANDBOOK: "second name", Dialect.OWN: "own"}


def metrics_page() -> str:
    families = dict.fromkeys(family for collector in REGISTRY for family in collector.families)
    seconds = sum(family.dialect is Dialect.HANDBOOK for family in families)
    head = f"""# Metrics

Made by `make docs` from the tables in `exporter/`. Every name begins with the value of `--namespace`, `redis` unless told otherwise.

- *own*: a metric that the Go exporter does not have. All others have its names, types and labels.
- *second name*: a value that another metric has too, under the name that the handbook gives it. There are {seconds};
  `--handbook-names=none` leaves them out.
- What a server does not tell has no series.
"""
    parts = [head]
    for collector in REGISTRY:
        parts.append("\n".join(_collector(collector)))
    parts.append("## About each target\n")
    parts.append("\n".join(_table([*VITALS, AGE])))
    return "\n".join(parts) + "\n"


def _collector(collector: Collector) -> Iterator[str]:
    yield f"## {collector.name}\n"
    flags = _flags_of(collector)
    asked = "" if flags is None else f" With {flags}."
    yield f"{collector.help} Lane: {collector.lane.value}.{asked}\n"
    yield from _table(collector.families)


def _flags_of(collector: Collector) -> str | None:
    """The flags that switch a collector on, None for one that is on by itself."""
    if collector.enabled(parse([], {})):
        return None
    tried = ((option.flag, "true" if option.default == "false" else EXAMPLES.get(option.form.value_name)) for option in OPTIONS)
    found = [f"`--{flag}`" for flag, text in tried if text and collector.enabled(parse([f"--{flag}={text}"], {}))]
    return " or ".join(found)


def _table(families: Sequence[Family]) -> Iterator[str]:
    if not families:
        yield "Its metrics have the names that the data gives them.\n"
        return
    yield "| metric | type | labels | |"
    yield "|---|---|---|---|"
    for family in families:
        labels = " ".join(f"`{label}`" for label in family.labels)
        notes = [note for note in (DIALECTS[family.dialect], f"since {family.since}" if family.since else "") if note]
        text = family.help.replace("|", "\\|") + (f" *{', '.join(notes)}*" if notes else "")
        yield f"| `{full_name(NAMESPACE, family).decode()}` | {family.kind.value} | {labels} | {text} |"
    yield ""


def options_page() -> str:
    lines = [
        "# Options",
        "",
        "Made by `make docs` from the table in `exporter/options.py`.",
        "",
        "A flag is written `-x`, `--x`, `--x=value` or `--x value`; a boolean `--x` or `--x=false`.",
        "The command line wins over the environment variable, and that over the default.",
    ]
    group = ""
    for row in rows():
        if row.group != group:
            group = row.group
            lines += ["", f"## {group}", "", "| flag | default | variable | |", "|---|---|---|---|"]
        names = ", ".join(f"`--{name}`" if len(name) > 1 else f"`-{name}`" for name in (row.flag, *row.aliases))
        value = f" {row.value}" if row.value else ""
        default = f"`{row.default}`" if row.default else ""
        variable = f"`{row.variable}`" if row.variable else ""
        lines.append(f"| {names}{value.replace('|', chr(92) + '|')} | {default} | {variable} | {row.help.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


PAGES = {"metrics": metrics_page, "options": options_page}


def run(argv: Sequence[str]) -> int:
    if len(argv) != 1 or argv[0] not in PAGES:
        raise UsageError(f"write redis_exporter docs {' or '.join(PAGES)}")
    print(PAGES[argv[0]](), end="")
    return 0
