"""The environment of the pages: what is escaped, what is missing, and how long one slice of a page takes."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from jinja2 import UndefinedError

from exporter.status import templates
from exporter.status.templates import Templates

COMMON = {"version": "1.2.3", "asset": "-/assets/{}".format}


async def at_once() -> None:
    """The event loop has time."""


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Templates:
    """Templates of which one is `test.html`."""
    source = templates._source
    text = "{% for each in rows %}<p>{{ each }}{% endfor %}"
    monkeypatch.setattr(templates, "_source", lambda name: text if name == "test.html" else source(name))
    return Templates(COMMON, at_once)


async def test_values_are_escaped(written: Templates) -> None:
    text = await written.write("test.html", {"rows": ["<script>alert('1 & \"2\"')</script>"]})
    assert text == "<p>&lt;script&gt;alert(&#39;1 &amp; &#34;2&#34;&#39;)&lt;/script&gt;"


async def test_a_value_that_is_missing_is_an_error(written: Templates) -> None:
    with pytest.raises(UndefinedError, match="rows"):
        await written.write("test.html", {})


async def test_the_loop_goes_on_while_a_long_page_is_written(
    written: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "SLICE_S", 0.0)
    await written.write("test.html", {"rows": []})
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turn())
    text = await written.write("test.html", {"rows": range(1000)})
    other.cancel()
    assert text.count("<p>") == 1000
    assert turns >= 1000 / templates.PIECES


def test_the_library_is_loaded_at_the_first_use() -> None:
    loads = "import sys, exporter.app.frontend; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loads], check=False).returncode == 0
