"""`redis_exporter compare OLD NEW`: two pages of metrics, series by series. For those who change from one exporter to another.

Reads the text format 0.0.4 as it stands: names are not changed, and a label that is empty counts as one that is not there.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from exporter.errors import ConfigError

TIMEOUT_S = 30.0
#: how many series of one family are shown
SHOWN = 5

_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]+([^ \t]+)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"')
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}

Labels = tuple[tuple[str, str], ...]  # by name


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """A name with its labels."""

    name: str
    labels: Labels

    def __str__(self) -> str:
        text = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in self.labels)
        return f"{self.name}{{{text}}}" if text else self.name


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """What a page tells: types by family, values by series, and the family of each series."""

    types: Mapping[str, str]
    values: Mapping[Series, float]
    families: Mapping[Series, str]


def read_page(text: str, ignored_labels: Iterable[str] = ()) -> MetricsPage:
    """Of a series that comes twice the first counts, as it does to Prometheus. A ConfigError names a line that is no sample."""
    ignored = frozenset(ignored_labels)
    types: dict[str, str] = {}
    values: dict[Series, float] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# TYPE "):
            name, _, kind = line[7:].strip().partition(" ")
            types.setdefault(name, kind.strip())
        elif line.strip() and not line.startswith("#"):
            match = _SAMPLE.match(line)
            if match is None:
                raise ConfigError(f"line {number} is no sample of the text format: {line[:80]}")
            pairs = (pair for pair in _LABEL.findall(match[2] or "") if pair[1] and pair[0] not in ignored)
            labels = tuple(sorted((name, _unescaped(value)) for name, value in pairs))
            try:
                values.setdefault(Series(match[1], labels), float(match[3]))
            except ValueError:
                raise ConfigError(f"line {number} has no number as its value: {line[:80]}") from None
    return MetricsPage(types, values, {series: _family(series.name, types) for series in values})


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)


def _family(name: str, types: Mapping[str, str]) -> str:
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and suffix in _SUFFIXES.get(types.get(base, ""), ()):
            return base
    return name


@dataclass(frozen=True, slots=True)
class Difference:
    """What two pages have not in common. `types` are (family, old, new), `values` (series, old, new)."""

    old: MetricsPage
    new: MetricsPage
    only_old: Sequence[Series] = field(repr=False)
    only_new: Sequence[Series] = field(repr=False)
    types: Sequence[tuple[str, str, str]]
    values: Sequence[tuple[Series, float, float]] = field(repr=False)

    @property
    def nothing_lost(self) -> bool:
        """Whether whoever changes from old to new finds every series again, with its type."""
        return not self.only_old and not self.types


def compare(old: MetricsPage, new: MetricsPage, tolerance: float = 0.0, ignored: Sequence[str] = ()) -> Difference:
    """`tolerance` is how much of the larger value two values may differ by; `ignored` are patterns of families' names."""

    def is_of_interest(family: str) -> bool:
        return not any(fnmatchcase(family, pattern) for pattern in ignored)

    def shown(page: MetricsPage, other: MetricsPage) -> list[Series]:
        return sorted(series for series in page.values if series not in other.values and is_of_interest(page.families[series]))

    both = sorted(series for series in old.values if series in new.values and is_of_interest(old.families[series]))
    types = [(name, kind, new.types[name]) for name, kind in sorted(old.types.items()) if new.types.get(name, kind) != kind]
    return Difference(
        old,
        new,
        shown(old, new),
        shown(new, old),
        [row for row in types if is_of_interest(row[0])],
        [
            (series, old.values[series], new.values[series])
            for series in both
            if not _is_equal(old.values[series], new.values[series], tolerance)
        ],
    )


def _is_equal(old: float, new: float, tolerance: float) -> bool:
    if math.isnan(old) or math.isnan(new):
        return math.isnan(old) and math.isnan(new)
    return old == new or abs(old - new) <= tolerance * max(abs(old), abs(new))


# -- telling


def report(difference: Difference) -> Iterator[str]:
    """Lines for a reader."""
    for name, page in (("OLD", difference.old), ("NEW", difference.new)):
        yield f"{name}: {len(page.values):,} series in {len(set(page.families.values())):,} families"
    for name, page, series in (("OLD", difference.old, difference.only_old), ("NEW", difference.new, difference.only_new)):
        if series:
            yield f"\nonly in {name}: {len(series):,} series"
            yield from _by_family(page, series)
    if difference.types:
        yield f"\ntypes that differ: {len(difference.types):,}"
        yield from (f"  {name}: {old} in OLD, {new} in NEW" for name, old, new in difference.types)
    if difference.values:
        yield f"\nvalues that differ: {len(difference.values):,}"
        yield from (f"  {series}: {old:.12g} in OLD, {new:.12g} in NEW" for series, old, new in difference.values)
    yield "\nevery series of OLD is in NEW, with its type" if difference.nothing_lost else "\nNEW lacks something that OLD has"


def _by_family(page: MetricsPage, series: Sequence[Series]) -> Iterator[str]:
    families: dict[str, list[Series]] = {}
    for each in series:
        families.setdefault(page.families[each], []).append(each)
    for name, members in families.items():
        yield f"  {name} ({page.types.get(name, 'untyped')})"
        yield from (f"    {each} {page.values[each]:.12g}" for each in members[:SHOWN])
        if len(members) > SHOWN:
            yield f"    and {len(members) - SHOWN:,} more"


def as_json(difference: Difference) -> str:
    return json.dumps(
        {
            "nothing_lost": difference.nothing_lost,
            "only_old": [str(series) for series in difference.only_old],
            "only_new": [str(series) for series in difference.only_new],
            "types": [{"family": name, "old": old, "new": new} for name, old, new in difference.types],
            "values": [{"series": str(series), "old": old, "new": new} for series, old, new in difference.values],
        },
        indent=1,
        ensure_ascii=False,
    )


# -- the command


def fetch(source: str) -> str:
    """The text at a URL (which may hold a user and password), in a file, or of standard input (`-`). ConfigError if it cannot be had."""
    if source == "-":
        return sys.stdin.read()
    if "://" not in source:
        try:
            return Path(source).read_text(errors="replace")
        except OSError as error:
            raise ConfigError(f"{source}: {error.strerror}: write a URL, a file, or - for standard input") from None
    parts = urllib.parse.urlsplit(source)
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"{parts.scheme}:// is not fetched: write http:// or https://")
    userinfo, _, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl())
    if userinfo:
        request.add_header("Authorization", "Basic " + base64.b64encode(urllib.parse.unquote(userinfo).encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return bytes(response.read()).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        raise ConfigError(f"{place}: the answer is {error.code} {error.reason}") from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ConfigError(f"{place}: {getattr(error, 'reason', error)}") from None


def run(argv: Sequence[str]) -> int:
    """0 if nothing of OLD is missing in NEW, else 1."""
    parser = argparse.ArgumentParser(
        prog="redis_exporter compare",
        description="Compare two pages of metrics; ends with 1 if NEW lacks a series of OLD or gives it another type.",
    )
    parser.add_argument("old", metavar="OLD", help="URL or file of the page that is to be replaced; - for standard input")
    parser.add_argument("new", metavar="NEW", help="URL or file of the page that takes its place")
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="PART", help="part of a value that may differ, such as 0.05")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="NAME", help="families to leave out, with * and ?; may be repeated"
    )
    parser.add_argument("--ignore-label", action="append", default=[], metavar="LABEL", help="a label to leave out; may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the report")
    arguments = parser.parse_args(argv)
    pages = [read_page(fetch(source), arguments.ignore_label) for source in (arguments.old, arguments.new)]
    difference = compare(pages[0], pages[1], arguments.tolerance, arguments.ignore)
    print(as_json(difference) if arguments.json else "\n".join(report(difference)))
    return int(not difference.nothing_lost)
