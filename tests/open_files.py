"""What a test leaves open in its process: of what it opened itself, whatever others close meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path


def open_files(kind: str = "") -> Counter[str]:
    """What the descriptors of this process lead to, with this word in it. Each socket and pipe has a name of
    its own."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[str(link.readlink())] += 1
        except FileNotFoundError:  # that of the listing itself, or closed meanwhile
            pass
    return Counter({name: count for name, count in found.items() if kind in name})
