"""The landing page at `/`."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from exporter.options.endpoints import routes

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>redpoll {version}</title>
<style>
 :root {{ color-scheme: light dark }}
 body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }}
 h1 {{ margin: 0 }} h1 small {{ font-weight: normal; font-size: 1rem; opacity: .6 }}
 .counts {{ display: flex; gap: 2.5rem; margin: 1.5rem 0 }}
 .counts div {{ line-height: 1.2 }} .counts b {{ display: block; font-size: 2rem }}
 .down b {{ color: #c62828 }}
 td {{ padding: .2rem 1.5rem .2rem 0; vertical-align: top }}
 code {{ font-size: .9em }}
</style>
<h1>redpoll <small>{version}</small></h1>
<p>A Redis exporter for Prometheus: it polls in the background, and answers from memory.</p>
<div class="counts">{counts}</div>
<table>{links}</table>
</html>
"""


def render(version: str, states: Mapping[str, int], telemetry_path: str, *, scrape: bool) -> str:
    """The whole page. `states` counts targets by state."""
    counts = "".join(
        f'<div class="{state if number else ""}"><b>{number}</b>{state}</div>'
        for state, number in states.items()
        if number or state != "unknown"
    )
    rows = [
        (route.link or route.path, route.note)
        for route in routes(telemetry_path)
        if route.note and (scrape or route.name != "scrape")
    ]
    links = "".join(
        f'<tr><td><a href="{escape(path)}"><code>{escape(path)}</code></a><td>{text}' for path, text in rows
    )
    return _PAGE.format(version=escape(version), counts=counts, links=links)
