"""Style, script and icon."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from aiohttp.test_utils import make_mocked_request

from exporter.status.asset_files import TYPES, AssetFiles

FILES = sorted(each.name for each in (resources.files("exporter.status") / "assets").iterdir())


async def ask(name: str) -> tuple[int, str, str, bytes]:
    request = make_mocked_request("GET", f"/-/assets/{name}", match_info={"name": name})
    answer = await AssetFiles().assets(request)
    body = answer.body  # type: ignore[attr-defined]
    return answer.status, answer.headers["Content-Type"], answer.headers.get("Cache-Control", ""), body


@pytest.mark.parametrize("name", FILES)
async def test_a_file_may_be_kept_for_good(name: str) -> None:
    path = AssetFiles().path(name)
    stem, _, ending = name.rpartition(".")
    assert re.fullmatch(rf"-/assets/{stem}\.[0-9a-f]{{12}}\.{ending}", path)
    status, content_type, keep, body = await ask(path.removeprefix("-/assets/"))
    assert (status, content_type) == (200, f"{TYPES[ending]}; charset=utf-8")
    assert "immutable" in keep
    assert body == (resources.files("exporter.status") / "assets" / name).read_bytes()


@pytest.mark.parametrize("name", ["page.css", "page.000000000000.css", "../templates/base.html", ""])
async def test_other_names_are_not_found(name: str) -> None:
    status, content_type, keep, _ = await ask(name)
    assert (status, content_type, keep) == (404, "text/plain; charset=utf-8", "")


def test_nothing_comes_from_another_place() -> None:
    for name in FILES:
        text = (resources.files("exporter.status") / "assets" / name).read_text()
        text = text.replace("http://www.w3.org/2000/svg", "")  # a name, which nobody loads
        assert not re.search(r"https?:|//[a-z]|@import|url\(", text), name
