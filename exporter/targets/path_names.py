"""Names of targets as parts of paths, in a form that proxies leave alone.

Many proxies decode `%2F` and join slashes before they forward a path, and browsers read a name of dots as a
folder. So links have `~2F` for a slash and `~2E` for such a dot.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_WRITTEN = re.compile("~(2[EF]|7E)")


def written_name(name: str) -> str:
    """The name as one part of a path, percent-encoded."""
    text = name.replace("~", "~7E").replace("/", "~2F")
    if not name.strip("."):
        text = text.replace(".", "~2E")
    return quote(text, safe="")


def names_meant(part: str) -> tuple[str, ...]:
    """What a part of a path, percent-decoded, can mean, the likely name first: people do not write names as
    links do."""
    name = _WRITTEN.sub(lambda found: chr(int(found[1], 16)), part)
    return (part,) if name == part else (name, part)
