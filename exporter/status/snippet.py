"""The part of prometheus.yml that scrapes this very exporter: its address, path, password and labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.pages.selection import OWN
from exporter.targets.target_labels import INSTANCE

#: a host as it stands in an address; a client may write anything into this header
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?\Z|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?\Z")
#: seconds; what is longer is written in them too
_MS = 1000


@dataclass(frozen=True, slots=True)
class ScrapedEndpoint:
    """How Prometheus reaches the exporter. `address` is host and port. `interval_s` is that of the polls.
    `user` is "" without a password. `asks_certificate`: clients must have one. `target_labels` is the option.
    `has_scrape`: `/scrape` answers."""

    address: str
    is_https: bool
    telemetry_path: str
    interval_s: float
    user: str
    asks_certificate: bool
    target_labels: str
    has_scrape: bool


def address_of(host: str, is_https: bool, listening: str) -> str:
    """Where a client has asked, if `host` is a host: with the port, which it leaves out where that is the
    usual one. Else where the exporter listens."""
    if not _HOST.match(host):
        return listening
    return host if re.search(r":[0-9]+\Z", host) else f"{host}:{443 if is_https else 80}"


def one_page(endpoint: ScrapedEndpoint) -> str:
    """All targets by one scrape."""
    lines = [*_job("redis", endpoint), *_page_path(endpoint)]
    if endpoint.target_labels == INSTANCE:
        lines.append("    honor_labels: true   # each series has the instance of its own server")
    lines.append(_address(endpoint))
    if endpoint.target_labels in ("auto", "always"):
        lines += [
            "    metric_relabel_configs:   # as if Prometheus scraped each server by itself",
            "      - {source_labels: [addr], regex: '[a-z]+://(.+)', target_label: instance}",
            "      - {regex: 'addr|alias', action: labeldrop}",
        ]
    return _whole(lines)


def each_target(endpoint: ScrapedEndpoint) -> str:
    """One scrape for each target, which Prometheus learns from `/sd`, and one for the exporter itself."""
    scheme = "https" if endpoint.is_https else "http"
    lines = [
        *_job("redis", endpoint),
        "    metrics_path: /scrape",
        "    http_sd_configs:",
        f"      - url: {_text(f'{scheme}://{endpoint.address}/sd')}",
        *(f"    {line}" for line in _access(endpoint)),
        "    relabel_configs:",
        "      - {source_labels: [__address__], target_label: __param_target}",
        f"      - {{target_label: __address__, replacement: {_text(endpoint.address)}}}",
        *_job("redis_exporter", endpoint),
        *_page_path(endpoint),
        f"    params: {{part: [{OWN}]}}   # the exporter's own series, which /scrape leaves out",
        _address(endpoint),
    ]
    return _whole(lines)


def _page_path(endpoint: ScrapedEndpoint) -> Iterator[str]:
    if endpoint.telemetry_path != "/metrics":
        yield f"    metrics_path: {_text(endpoint.telemetry_path)}"


def _address(endpoint: ScrapedEndpoint) -> str:
    return f"    static_configs: [{{targets: [{_text(endpoint.address)}]}}]"


def _job(name: str, endpoint: ScrapedEndpoint) -> Iterator[str]:
    yield f"  - job_name: {name}"
    yield f"    scrape_interval: {_duration(endpoint.interval_s)}"
    if endpoint.is_https:
        yield "    scheme: https"
    yield from _access(endpoint)


def _access(endpoint: ScrapedEndpoint) -> Iterator[str]:
    """What the endpoint asks of its clients."""
    if endpoint.is_https:
        yield "    tls_config:"
        yield "      ca_file: redis_exporter_ca.pem   # who signed the certificate of --tls-server-cert-file"
        if endpoint.asks_certificate:
            yield "      cert_file: prometheus.pem   # signed by who is in --tls-server-ca-cert-file"
            yield "      key_file: prometheus_key.pem"
    if endpoint.user:
        yield "    basic_auth:"
        yield f"      username: {_text(endpoint.user)}"
        yield "      password_file: redis_exporter_password   # holds the password of this user"


def _whole(lines: list[str]) -> str:
    return "\n".join(["scrape_configs:", *lines]) + "\n"


def _text(text: str) -> str:
    """YAML takes JSON's texts as they are."""
    return json.dumps(text)


def _duration(seconds: float) -> str:
    """Prometheus takes no fractions."""
    milliseconds = max(1, round(_MS * seconds))
    return f"{milliseconds}ms" if milliseconds % _MS else f"{milliseconds // _MS}s"
