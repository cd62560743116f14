"""Values that say where lists of targets are."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from exporter.options import lengths
from exporter.options.values import ValueType, join_items, parse_file_names, parse_list


def parse_file_patterns(text: str) -> tuple[str, ...]:
    """As for Prometheus' file_sd."""
    patterns = parse_file_names(text)
    for pattern in patterns:
        folder, _, name = pattern.rpartition("/")
        if not name.endswith((".json", ".yml", ".yaml")):
            raise ValueError("a file must end with .json, .yml or .yaml: write such as /etc/redis/*.yml")
        if re.search(r"[*?[]", folder):
            raise ValueError(
                "only the last part of a path may have wildcards: write such as /etc/redis/*.yml"
            )
    return patterns


def _can_be_asked(url: str) -> bool:
    if not re.match(r"https?://([^\s/?#]*@)?[^\s/?#@]+([/?#]|\Z)", url, re.IGNORECASE):
        return False
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        return bool(host) and parts.port != 0
    except ValueError:  # brackets, a port, or a part of a host's name that cannot be one
        return False


def parse_urls(text: str) -> tuple[str, ...]:
    urls = tuple(dict.fromkeys(parse_list(text, lengths.PATH_MAX)))
    for url in urls:
        if not _can_be_asked(url):
            raise ValueError("write a URL with http:// or https://, such as http://inventory:8080/redis")
    return urls


FILE_PATTERNS = ValueType("GLOB,…", parse_file_patterns, empty=True, raw=True, join=join_items)
URLS = ValueType("URL,…", parse_urls, empty=True, join=join_items)
