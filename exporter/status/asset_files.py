"""What pages load besides themselves: style, script and icon. A name has a hash of the content, so that
browsers may keep a file for good."""

from __future__ import annotations

import hashlib
from functools import cached_property
from importlib import resources

from aiohttp import web

FOLDER = "-/assets/"
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
#: a year, which is as long as caches keep anything
KEEP = "public, max-age=31536000, immutable"


class AssetFiles:
    """Serves the files of `assets`. They are read at the first use."""

    @cached_property
    def _contents(self) -> dict[str, bytes]:
        folder = resources.files("exporter.status") / "assets"
        return {each.name: each.read_bytes() for each in folder.iterdir() if _ending(each.name) in TYPES}

    @cached_property
    def _names(self) -> dict[str, str]:
        """Names with a hash, by name."""
        return {name: _hashed(name, content) for name, content in self._contents.items()}

    @cached_property
    def _served(self) -> dict[str, str]:
        return {hashed: name for name, hashed in self._names.items()}

    def path(self, name: str) -> str:
        """The path of a file, such as `page.css`, relative to `/`. KeyError if there is none."""
        return FOLDER + self._names[name]

    async def assets(self, request: web.Request) -> web.StreamResponse:
        """One file."""
        name = self._served.get(request.match_info["name"])
        if name is None:
            return web.Response(status=404, text="this version has no such file: load the page again\n")
        return web.Response(
            body=self._contents[name],
            content_type=TYPES[_ending(name)],
            charset="utf-8",
            headers={"Cache-Control": KEEP},
        )


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def _hashed(name: str, content: bytes) -> str:
    stem, _, ending = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{ending}"
