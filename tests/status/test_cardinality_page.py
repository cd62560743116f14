"""The page of what has the most series."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request

from exporter.status.asset_files import AssetFiles
from exporter.status.cardinality import CardinalityReport, FamilySize, TargetSize
from exporter.status.cardinality_page import CardinalityPage
from exporter.status.templates import Templates
from tests.status.members import no_share
from tests.status.test_overview import Reader

LARGE = TargetSize("k", "orders main", "redis://10.0.0.1:6379", 900, 120_000, 7)
SMALL = TargetSize("l", "10.0.0.2:6379", "redis://10.0.0.2:6379", 300, 40_000, 0)
REPORT = CardinalityReport(
    at=1000.0,
    series=1200,
    bytes=160_000,
    refused=7,
    target_limit=10_000,
    family_limit=2_000,
    families=[FamilySize("redis_commands_total", 800, 90_000, 2), FamilySize("redis_up", 2, 80, 1)],
    targets=[LARGE, SMALL],
    refusing=[LARGE],
)
EMPTY = CardinalityReport(1000.0, 0, 0, 0, 10_000, 2_000, [], [], [])


async def page(report: CardinalityReport) -> str:
    class Sizes:
        async def report(self) -> CardinalityReport:
            return report

    templates = Templates({"version": "1.2.3", "asset": AssetFiles().path}, no_share)
    answer = await CardinalityPage(Sizes(), templates).cardinality(make_mocked_request("GET", "/cardinality"))
    text = answer.text  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


async def test_the_largest_have_full_bars() -> None:
    text = await page(REPORT)
    reader = Reader(text)
    assert text.count('class="b10"') == 2
    at = reader.texts.index("redis_commands_total")
    assert reader.texts[at : at + 4] == ["redis_commands_total", "of 2 targets", "800", "90 kB"]
    assert "of 1 target" in reader.texts
    assert "targets/orders%20main" in reader.links
    assert reader.texts[-3:] == ["orders main", "7", "900"]


async def test_before_the_first_values_it_says_so() -> None:
    found = Reader(await page(EMPTY)).texts
    assert found.count("No values yet.") == 2
    assert "The limits refuse nothing." in found
