"""`redis_exporter compare OLD NEW`: compares two pages of metrics, series by series, for a change of
exporters.

It reads the text format 0.0.4. Names are not changed, and an empty label counts as a missing one.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import argparse
import base64
import http.client
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
from typing import Any, NoReturn

from exporter import files, masks, safe_text
from exporter.errors import RequestError, UsageError
from exporter.targets.redaction import redaction_of_login

#: time for the whole answer of a URL: a limit of the socket begins again with each byte
TIMEOUT_S = 60.0
#: bytes of a page
SIZE_MAX = 256 * 1024 * 1024
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
    """The content of a page: types by family, values by series, the family of each series. `doubles` counts
    the samples of a series that was there before (ignored labels may make two series equal)."""

    types: Mapping[str, str]
    values: Mapping[Series, float]
    families: Mapping[Series, str]
    doubles: int = 0

    def type_of(self, family: str) -> str:
        return self.types.get(family, "untyped")


def read_page(text: str, ignored_labels: Iterable[str] = ()) -> MetricsPage:
    """If a series comes twice, the first counts, as in Prometheus. A RequestError names a line that is not a
    sample."""
    ignored = frozenset(ignored_labels)
    types: dict[str, str] = {}
    values: dict[Series, float] = {}
    doubles = 0
    for number, line in enumerate(text.split("\n"), 1):  # other line breaks may be part of a label's value
        line = line.strip(" \t\r")
        if line.startswith("# TYPE "):
            name, _, kind = line[7:].strip().partition(" ")
            types.setdefault(name, kind.strip())
        elif line and not line.startswith("#"):
            match = _SAMPLE.match(line)
            if match is None:
                raise RequestError(f"line {number} is not a sample of the text format: {line[:80]}")
            pairs = (pair for pair in _LABEL.findall(match[2] or "") if pair[1] and pair[0] not in ignored)
            series = Series(match[1], tuple(sorted((name, _unescaped(value)) for name, value in pairs)))
            doubles += series in values
            try:
                values.setdefault(series, float(match[3]))
            except ValueError:
                raise RequestError(f"line {number} has no number as its value: {line[:80]}") from None
    return MetricsPage(types, values, {series: _family(series.name, types) for series in values}, doubles)


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
    """How two pages differ. `types` are (family, old, new), `values` (series, old, new)."""

    old: MetricsPage
    new: MetricsPage
    only_old: Sequence[Series] = field(repr=False)
    only_new: Sequence[Series] = field(repr=False)
    types: Sequence[tuple[str, str, str]]
    values: Sequence[tuple[Series, float, float]] = field(repr=False)

    @property
    def nothing_lost(self) -> bool:
        """Whether the new page has every series of the old one, with its type."""
        return not self.only_old and not self.types


def compare(
    old: str | MetricsPage,
    new: str | MetricsPage,
    *,
    tolerance: float = 0.0,
    ignored: Sequence[str] = (),
    ignored_labels: Sequence[str] = (),
) -> Difference:
    """Compare two pages, as texts or already read. Two values may differ by the share `tolerance` of the
    larger one; `ignored` are patterns of family names; `ignored_labels` apply to texts. Raises RequestError
    for a text that is not a page."""
    old, new = (
        page if isinstance(page, MetricsPage) else read_page(page, ignored_labels) for page in (old, new)
    )

    def chosen(page: MetricsPage) -> list[Series]:
        return sorted(
            series
            for series in page.values
            if not any(fnmatchcase(page.families[series], pattern) for pattern in ignored)
        )

    of_old, of_new = chosen(old), chosen(new)
    families = {new.families[series] for series in of_new}
    common = sorted({old.families[series] for series in of_old} & families)
    return Difference(
        old,
        new,
        [series for series in of_old if series not in new.values],
        [series for series in of_new if series not in old.values],
        [
            (name, old.type_of(name), new.type_of(name))
            for name in common
            if old.type_of(name) != new.type_of(name)
        ],
        [
            (series, old.values[series], new.values[series])
            for series in of_old
            if series in new.values and not _is_equal(old.values[series], new.values[series], tolerance)
        ],
    )


def _is_equal(old: float, new: float, tolerance: float) -> bool:
    if math.isnan(old) or math.isnan(new):
        return math.isnan(old) and math.isnan(new)
    return old == new or abs(old - new) <= tolerance * max(abs(old), abs(new))


# -- the report


def report(difference: Difference) -> Iterator[str]:
    """Lines for a reader."""
    old, new = difference.old, difference.new
    for name, page in (("OLD", old), ("NEW", new)):
        yield f"{name}: {len(page.values):,} series in {len(set(page.families.values())):,} families"
        if page.doubles:
            yield f"  {page.doubles:,} more samples repeat a series; the first sample counts"
    for name, page, series in (("OLD", old, difference.only_old), ("NEW", new, difference.only_new)):
        if series:
            yield f"\nonly in {name}: {len(series):,} series"
            yield from _by_family(page, [(each, f"{page.values[each]:.12g}") for each in series])
    if difference.types:
        yield f"\ntypes that differ: {len(difference.types):,}"
        yield from (f"  {name}: {then} in OLD, {now} in NEW" for name, then, now in difference.types)
    if difference.values:
        yield f"\nvalues that differ, OLD and NEW: {len(difference.values):,} series"
        yield from _by_family(
            old, [(series, f"{then:.12g}  {now:.12g}") for series, then, now in difference.values]
        )
    yield (
        "\nevery series of OLD is in NEW, with its type"
        if difference.nothing_lost
        else "\nNEW lacks something that OLD has"
    )


def _by_family(page: MetricsPage, rows: Iterable[tuple[Series, str]]) -> Iterator[str]:
    """The first series of each family, each with its text."""
    families: dict[str, list[str]] = {}
    for series, text in rows:
        families.setdefault(page.families[series], []).append(f"    {series} {text}")
    for name, members in families.items():
        yield f"  {name} ({page.type_of(name)})"
        yield from members[:SHOWN]
        if len(members) > SHOWN:
            yield f"    and {len(members) - SHOWN:,} more"


def as_json(difference: Difference) -> str:
    """The same for programs. A value that JSON cannot write as a number (`nan`, `inf`) is a text."""
    return json.dumps(
        {
            "nothing_lost": difference.nothing_lost,
            "only_old": [str(series) for series in difference.only_old],
            "only_new": [str(series) for series in difference.only_new],
            "types": [{"family": name, "old": old, "new": new} for name, old, new in difference.types],
            "values": [
                {"series": str(series), "old": _number(old), "new": _number(new)}
                for series, old, new in difference.values
            ],
        },
        indent=1,
        ensure_ascii=False,
    )


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


# -- the command


def fetch(source: str) -> str:
    """The text of a URL (which may hold a user and password), of a file, or of standard input (`-`). Raises
    RequestError."""
    if source == "-":
        return sys.stdin.buffer.read(SIZE_MAX).decode("utf-8", "replace")
    if "://" not in source:
        try:
            with open(source, "rb") as stream:  # may be a pipe of the shell: <(…)
                return stream.read(SIZE_MAX).decode("utf-8", "replace")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", error)
            raise RequestError(
                f"{masks.mask(source)}: {why}: write a URL, a file, or - for standard input"
            ) from None
    try:
        parts = urllib.parse.urlsplit(source)
    except ValueError:
        raise RequestError("the URL cannot be read: write one such as http://host:9121/metrics") from None
    if parts.scheme not in ("http", "https"):
        raise RequestError("such a URL is not supported: write http:// or https://")
    userinfo, _, place = parts.netloc.rpartition("@")
    given = urllib.parse.unquote_to_bytes(safe_text.given_bytes(userinfo))
    try:
        request = urllib.request.Request(parts._replace(netloc=place).geturl())
        if userinfo:
            request.add_header("Authorization", "Basic " + base64.b64encode(given).decode())
        opener = urllib.request.build_opener(*([_Stay] if userinfo else []))
        answering = files.start(lambda: _answer(opener, request))
        return answering.result(TIMEOUT_S).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        error.close()
        hint = ": write the URL that it leads to" if 300 <= error.code < 400 else ""
        raise RequestError(
            f"{place}: the answer is {error.code} {_clean(given, error.reason)}{hint}"
        ) from None
    except UnicodeError:  # the library's text holds the whole URL
        raise RequestError(
            safe_text.one_line(
                f"{place}: the URL holds an invalid character, or its host is not a host name", 300
            )
        ) from None
    except TimeoutError:
        raise RequestError(f"{place}: no whole answer within {TIMEOUT_S:g} s") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = str(getattr(error, "reason", "") or error) or type(error).__name__
        raise RequestError(f"{place}: {_clean(given, said)}") from None


def _answer(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> bytes:
    with opener.open(request, timeout=TIMEOUT_S) as response:
        return bytes(response.read(SIZE_MAX))


def _clean(login: bytes, text: str) -> str:
    """A text of a server as it may be shown: it may repeat what it was sent."""
    return masks.mask(redaction_of_login(login).clean(text))


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the library would send user and password on to wherever it leads."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        return None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"compare: {message}: see redis_exporter compare --help")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < math.inf:
        raise argparse.ArgumentTypeError(f"{safe_text.shorten(text, 40)} is no share: write one such as 0.05")
    return share


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="redis_exporter compare",
        allow_abbrev=False,
        description="Compare two pages of metrics. The exit code is 1 if NEW lacks a series of OLD or gives "
        "it another type.",
    )
    parser.add_argument("old", metavar="OLD", help="URL or file of the old page; - for standard input")
    parser.add_argument("new", metavar="NEW", help="URL or file of the new page; - for standard input")
    parser.add_argument(
        "--tolerance",
        type=_share,
        default=0.0,
        metavar="PART",
        help="share by which values may differ, such as 0.05",
    )
    lists: dict[str, Any] = {"action": "extend", "type": _words, "default": []}
    parser.add_argument(
        "--ignore", **lists, metavar="NAME,…", help="families to leave out, with * and ?; may be repeated"
    )
    parser.add_argument(
        "--ignore-label", **lists, metavar="LABEL,…", help="labels to leave out; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the report")
    return parser


def run(argv: Sequence[str]) -> int:
    """Returns 0 if NEW has all of OLD, else 1."""
    arguments = _parser().parse_args(argv)
    if arguments.old == arguments.new == "-":
        raise UsageError("compare: only one page can come from standard input")
    pages = []
    for name, source in (("OLD", arguments.old), ("NEW", arguments.new)):
        text = fetch(source)
        try:
            pages.append(read_page(text, arguments.ignore_label))
        except RequestError as error:
            raise RequestError(f"{name}: {error}") from None
        if not pages[-1].values:
            raise RequestError(f"{name}: there is no series on that page")
    difference = compare(pages[0], pages[1], tolerance=arguments.tolerance, ignored=arguments.ignore)
    print(as_json(difference) if arguments.json else "\n".join(report(difference)))
    return int(not difference.nothing_lost)
