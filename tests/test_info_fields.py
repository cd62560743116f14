"""Every number that a server shows in INFO is on the page, or `EXCEPTIONS` says why it is not.

`tests/data` has replies of many servers. A number that no row of a collector reads fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from exporter.collectors._registry import REGISTRY
from exporter.metrics.family import EverySubField, Field, Pattern, Record

DATA = Path(__file__).parent / "data"
INFOS = sorted(DATA.glob("*/*info*.txt"))

#: pattern of `field`, or of `field.sub-field` for a record → why it has no metric
EXCEPTIONS = {
    r"arch_bits": "how the server was built, and no measurement",
    r"redis_git_(dirty|sha1)": "how the server was built; instance_info has its version",
    r"lru_clock": "a clock of its own unit that only the server uses",
    r"server_time_usec": "the clock; Prometheus has the time of each scrape",
    r"uptime_in_days": "uptime_in_seconds in another unit",
    r"master_replid2": "an identifier that may consist of digits",
    r"listener[0-9]+\.port": "an address",
    r"cmdstat_.*\.usec_per_call": "usec divided by calls",
    r"module\.(ver|api|filters)": "labels of module_info, which reads INFO modules",
    r"(infotest|odd-info\.1)_.*": "fields of modules that were loaded to test odd names",
    r"injected_field\..*": "a line that a name with a line break made",
}


def numbers_of(text: str) -> Iterator[tuple[str, str]]:
    """(key, sub-field; "" the whole value) of every number in a reply of INFO."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if key.startswith(("cmdstat_", "errorstat_")):  # a name may have colons
            key, colon, value = re.match(r"(.*?)(?:(:)(\w+=.*))?\Z", line).groups("")  # type: ignore[union-attr]
        if not colon or line.startswith("#"):
            continue
        if _is_number(value):
            yield key, ""
        for part in value.split(","):
            sub, equals, number = part.partition("=")
            if equals and _is_number(number):
                yield key, sub


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?[0-9]+(\.[0-9]+)?%?\s*", text) is not None


@cache
def shown() -> tuple[frozenset[str], dict[Pattern, set[str] | None]]:
    """Keys, and by pattern the sub-fields, that are the value or a label of a family; None: every one."""
    keys: set[str] = set()
    subs: dict[Pattern, set[str] | None] = {}
    for collector in REGISTRY:
        for family in collector.families:
            match family.source:
                case Field() as field:
                    keys.update((field.key, *field.also))
                    keys.update(key for _, either in field.labels for key in either.split("|"))
                case Record() as record:
                    known = subs.setdefault(record.pattern, set())
                    if known is not None:
                        known.update(record.sub.split("|"), (sub for _, sub in record.labels))
                case EverySubField() as every:
                    subs[every.pattern] = None
    return frozenset(keys), subs


def is_shown(key: str, sub: str) -> bool:
    keys, patterns = shown()
    plain = re.sub(r"\Amaster_[0-9]+_", "master_", key)  # KeyDB numbers further masters
    if not sub and (key in keys or plain in keys):
        return True
    return any(_fits(pattern, key) and (known is None or sub in known) for pattern, known in patterns.items())


def _fits(pattern: Pattern, key: str) -> bool:
    middle = r"[0-9]+" if pattern.digits else r".+"
    return re.fullmatch(f"{re.escape(pattern.prefix)}{middle}{re.escape(pattern.suffix)}", key) is not None


def reason(key: str, sub: str) -> str | None:
    """The exception that names the number."""
    name = f"{key}.{sub}" if sub else key
    return next((pattern for pattern in EXCEPTIONS if re.fullmatch(pattern, name)), None)


@pytest.mark.parametrize("path", INFOS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_number_has_a_metric_or_a_reason(path: Path) -> None:
    unknown = {
        (key, sub)
        for key, sub in numbers_of(path.read_text(errors="surrogateescape"))
        if not is_shown(key, sub) and reason(key, sub) is None
    }
    assert unknown == set(), "give each a row in exporter/collectors, or a reason in EXCEPTIONS"


def test_every_exception_is_needed() -> None:
    numbers = {each for path in INFOS for each in numbers_of(path.read_text(errors="surrogateescape"))}
    used = {reason(key, sub) for key, sub in numbers if not is_shown(key, sub)}
    assert used - {None} == set(EXCEPTIONS)


@pytest.mark.parametrize(
    ("line", "unknown"),
    [
        ("brand_new_field:7", ("brand_new_field", "")),
        ("brand_new_share:7.25%", ("brand_new_share", "")),
        ("cmdstat_get:calls=1,brand_new=7", ("cmdstat_get", "brand_new")),
        ("cmdstat_a:b:calls=1,brand_new=7", ("cmdstat_a:b", "brand_new")),
        ("db0:keys=1,expires=0,brand_new=7", ("db0", "brand_new")),
        ("db0_distrib_brandnew_items:1=7", ("db0_distrib_brandnew_items", "1")),
        ("brand0:new=7", ("brand0", "new")),
    ],
)
def test_a_number_that_nobody_reads_is_found(line: str, unknown: tuple[str, str]) -> None:
    found = [each for each in numbers_of(f"# Section\r\n{line}\r\nnew_text:on\r\n") if not is_shown(*each)]
    assert found == [unknown]
    assert reason(*unknown) is None
