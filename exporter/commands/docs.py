"""`redis_exporter docs metrics|options`: prints the pages of the documentation that come from tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from exporter import engine
from exporter.collectors._contract import AnyCollector
from exporter.collectors._registry import REGISTRY
from exporter.collectors._shown import KEPT
from exporter.collectors.info import GATED
from exporter.commands import config_schema
from exporter.errors import UsageError
from exporter.metrics.catalog import header
from exporter.metrics.family import Family, Field, NameSet
from exporter.metrics.family_set import full_name, make_family_set
from exporter.options.commandline import parse
from exporter.options.option import Option
from exporter.options.table import OPTIONS
from exporter.pages.exposition import AGE
from exporter.telemetry.own_series import FAMILIES as OWN_FAMILIES
from exporter.telemetry.process import FAMILIES as PROCESS_FAMILIES
from exporter.telemetry.target_series import FAMILIES as TARGET_FAMILIES

NAMESPACE = "redis"
#: a value that switches something on, by the way it is written
EXAMPLES = {"[DB=]KEY,…": "key,pattern*", "PATTERN,…": "(.*)", "name,…": "name", "FILE,…": __file__}
#: family → the flag that shows it
FLAGS = {
    name: next(option.flag for option in OPTIONS if option.attribute == attribute)
    for name, attribute in GATED.items()
}
NOT_REDIS_ONLY = " *not redis-only*"
NAME_SETS = {NameSet.GO: "", NameSet.SECOND: "second name", NameSet.OWN: "own"}


#: the server for which the cost of second names is shown: commands in use, and the number in each field
COMMANDS = 20
NUMBER = "41943040"


def metrics_page() -> str:
    families = dict.fromkeys(family for collector in REGISTRY for family in collector.families)
    seconds = sum(family.name_set is NameSet.SECOND for family in families)
    names, series, size, head_size = second_names_cost()
    head = f"""# Metrics

Made by `make docs` from the tables in `exporter/`. Every name begins with the value of `--namespace`, by
default `redis`.

- *own*: a metric that the Go exporter does not have. All others have its names, types and labels.
- *second name*: a value that another metric has too, under another name. There are {seconds}, and {names} of
  them are read from INFO: with {COMMANDS} commands in use these are {series} series of a target, {size:,}
  bytes before compression; HELP and TYPE are {head_size:,} bytes of a page. `--second-names=scalar`, the
  default, leaves out those that each key or stream has, and keeps `{NAMESPACE}_{KEPT}`;
  `--second-names=all` shows every one, `--second-names=none` none.
- What a server does not report has no series.
"""
    sections = [head]
    for collector in REGISTRY:
        sections.append("\n".join(_collector(collector)))
    sections.append("## About each target\n")
    sections.append("\n".join(_table([*TARGET_FAMILIES, AGE])))
    sections.append(
        "## About the exporter\n\nOnce a page; not on `/scrape`. `--redis-only-metrics` leaves out what is "
        "about the process and its endpoint: *not redis-only*.\n"
    )
    sections.append("\n".join(_rows(_own_rows())))
    return "\n".join(sections)


def second_names_cost() -> tuple[int, int, int, int]:
    """The second names that are read from INFO: their number, their series of one target, the bytes of these,
    and of their headers."""
    names = series = size = head_size = 0
    for collector in REGISTRY:
        families = [
            family for family in collector.families if family.name_set is NameSet.SECOND and family.source
        ]
        family_set = make_family_set(collector.name, collector.lane, families, namespace=NAMESPACE)
        head_size += sum(
            len(header(name, family, collector.lane))
            for name, family in zip(family_set.names, families, strict=True)
        )
        names += len(families)
        if family_set.plan is not None:
            labels = engine.Labels(b'addr="redis://10.0.0.1:6379"', {})
            block = family_set.plan.read(_some_info(families).encode(), labels, engine.LineOrder(), 0.0, 0)
            series += block.series
            size += len(block.samples)
    return names, series, size, head_size


def _some_info(families: Sequence[Family]) -> str:
    """A reply of INFO that has a value for each of the families."""
    lines = [f"{family.source.key}:{NUMBER}" for family in families if isinstance(family.source, Field)]
    lines.append(f"db0:keys={NUMBER},expires={NUMBER},avg_ttl={NUMBER},keys_with_volatile_items={NUMBER}")
    lines.append(f"engine_0:name=LUA,module=lua,abi_version=4,used_memory={NUMBER},memory_overhead={NUMBER}")
    for number in range(COMMANDS):
        lines.append(
            f"cmdstat_name{number:02}:calls=81250,usec=396482,usec_per_call=4.88,"
            f"rejected_calls=0,failed_calls=0"
        )
        lines.append(f"latency_percentiles_usec_name{number:02}:p50=3.007,p99=18.047,p99.9=36.095")
    return "\r\n".join(lines) + "\r\n"


def _own_rows() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Name, type, labels and help of each family about the exporter itself."""
    rows = [
        (f"{NAMESPACE}_{row.name}", row.type.value, row.labels, row.help + NOT_REDIS_ONLY * row.of_process)
        for row in OWN_FAMILIES
    ]
    return sorted(
        rows + [(row.name, row.type.value, row.labels, row.help + NOT_REDIS_ONLY) for row in PROCESS_FAMILIES]
    )


def _collector(collector: AnyCollector) -> Iterator[str]:
    yield f"## {collector.name}\n"
    flags = _flags_of(collector)
    asked = "" if flags is None else f" With {flags}."
    turns = "" if collector.turns == 1 else f", in one of {collector.turns} turns"
    yield f"{collector.help} Lane: {collector.lane.value}{turns}.{asked}\n"
    yield from _table(collector.families)


def _flags_of(collector: AnyCollector) -> str | None:
    """The flags that switch a collector on, None for one that is on by default."""
    if collector.enabled(parse([], {})):
        return None
    tried = (
        (option.flag, "true" if option.default == "false" else EXAMPLES.get(option.type.value_name))
        for option in OPTIONS
    )
    found = [
        f"`--{flag}`" for flag, text in tried if text and collector.enabled(parse([f"--{flag}={text}"], {}))
    ]
    return " or ".join(found)


def _table(families: Sequence[Family]) -> Iterator[str]:
    if not families:
        yield "Its metrics have the names that the data gives them.\n"
        return
    yield from _rows(
        (
            full_name(NAMESPACE, family).decode(),
            family.type.value,
            family.labels,
            " ".join(filter(None, (family.help, _notes(family)))),
        )
        for family in families
    )


def _notes(family: Family) -> str:
    since = f"since {family.since}" if family.since else ""
    flag = f"with `--{FLAGS[family.name]}`" if family.name in FLAGS else ""
    notices = ", ".join(filter(None, (NAME_SETS[family.name_set], since, flag)))
    return f"*{notices}*" if notices else ""


def _rows(rows: Iterable[tuple[str, str, Sequence[str], str]]) -> Iterator[str]:
    yield "| metric | type | labels | |"
    yield "|---|---|---|---|"
    for name, type, names, text in rows:
        labels = " ".join(f"`{label}`" for label in names)
        yield f"| `{name}` | {type} | {labels} | {_cell(text)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def options_page() -> str:
    lines = [
        "# Options",
        "",
        "Made by `make docs` from the tables in `exporter/options/`.",
        "",
        "Write a flag as `-x`, `--x`, `--x=value` or `--x value`; a boolean as `--x` or `--x=false`.",
        "A flag wins over its environment variable, that over the option in a",
        "[configuration file](configuration-file.md), and that over the default.",
        "",
        "The scope of an option:",
        "",
        "- *start*: one value from start to end.",
        "- *reload*: a reload may change the value.",
        "- *target*: a reload may change the value, and a target may have its own in the configuration file.",
    ]
    for title, options in groupby(OPTIONS, lambda option: option.title):
        lines += ["", f"## {title}", "", "| flag | default | variable | scope | |", "|---|---|---|---|---|"]
        lines += map(_option_row, options)
    return "\n".join(lines) + "\n"


def _option_row(option: Option) -> str:
    names = ", ".join(f"`{flag}`" for flag in option.shown)
    value = f" {_cell(option.type.value_name)}" if option.type.value_name else ""
    default = f"`{option.default}`" if option.default else ""
    variable = f"`{option.variable}`" if option.variable else ""
    return f"| {names}{value} | {default} | {variable} | {option.scope} | {_cell(option.help)} |"


PAGES = {"metrics": metrics_page, "options": options_page}
#: what the command prints
PRINTED = {**PAGES, "schema": config_schema.text}


def run(argv: Sequence[str]) -> int:
    if set(argv) & {"-h", "-help", "--help"}:
        print(
            f"usage: redis_exporter docs {'|'.join(PRINTED)}\n\n"
            f"Print a page of the documentation, or the JSON schema of the configuration file."
        )
        return 0
    if len(argv) != 1 or argv[0] not in PRINTED:
        raise UsageError(f"write redis_exporter docs {' or '.join(PRINTED)}")
    print(PRINTED[argv[0]](), end="")
    return 0
