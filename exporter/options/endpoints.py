"""The table of what the exporter answers. Routes, reserved paths, the links of the status page and
docs/endpoint.md follow from it.

It is with the options because the telemetry path must not be one of these paths.
"""

from __future__ import annotations

from typing import NamedTuple


class Route(NamedTuple):
    """One row. `name` is the label `endpoint` of the exporter's own series. The method that answers, of `Web`
    or of a class in `status`, has the same name, with _ for -. `answer` is for the docs. The status page
    shows `note`, if there is one, with a link to `link` or else to the path."""

    path: str
    name: str
    answer: str
    methods: tuple[str, ...] = ("GET", "HEAD")
    note: str = ""
    link: str = ""


#: the page of all targets, whose path is an option
TELEMETRY = Route(
    "",
    "metrics",
    "all targets, and the exporter's own series; `?part=own` has only these. `--web.telemetry-path` sets "
    "another path, which must differ from all others here",
    note="all targets, for Prometheus",
)

#: all others
ROUTES = (
    Route(
        "/scrape",
        "scrape",
        "one target: `/scrape?target=` and its address or alias. [More](scrape.md): targets that nobody "
        "configured, parameters, answers",
        note="one target: append its address or alias",
        link="/scrape?target=",
    ),
    Route(
        "/sd",
        "sd",
        "all targets, [for Prometheus' http_sd](#the-list-of-targets)",
        note="all targets, for Prometheus' http_sd",
    ),
    Route(
        "/health",
        "health",
        "whether any target can be reached",
        note="whether any target can be reached",
    ),
    Route("/-/healthy", "healthy", "whether this process is alive", note="whether this process is alive"),
    Route(
        "/-/ready",
        "ready",
        "whether every target was tried once",
        note="whether every target was tried once",
    ),
    Route("/-/reload", "reload", "[reload](#reloading)", ("GET", "HEAD", "POST")),
    Route(
        "/discover-cluster-nodes",
        "discover-cluster-nodes",
        "with `--is-cluster`: the [nodes](targets.md#nodes-of-clusters) of the targets' clusters, for "
        "Prometheus' http_sd",
    ),
    Route(
        "/api/v1/targets",
        "api-targets",
        "the table of targets as [JSON](api.md#targets): filtered, sorted, in pages",
    ),
    Route("/api/v1/targets.csv", "api-targets-csv", "the same as [CSV](api.md#csv), all rows that fit"),
    Route("/api/v1/scrapers", "api-scrapers", "[who scrapes](api.md#scrapers), and refused requests"),
    Route("/api/v1/cardinality", "api-cardinality", "the [largest families and targets](api.md#cardinality)"),
    Route("/api/v1/status", "api-status", "[the exporter itself](api.md#status)"),
    Route(
        "/api/v1/openapi.json", "api-openapi", "the [description](api.md#openapi) of this API (OpenAPI 3.1)"
    ),
    Route(
        "/api/v1/targets/{name}/pause",
        "pause",
        "[maintenance](#maintenance-of-a-target): POST pauses a target, DELETE ends that, GET shows it",
        ("GET", "HEAD", "POST", "DELETE"),
    ),
    Route("/scrapers", "scrapers", "[who scrapes](status-page.md#scrapers), and refused requests, as a page"),
    Route(
        "/cardinality",
        "cardinality",
        "the [largest families and targets](status-page.md#cardinality), as a page",
    ),
    Route("/config", "config", "every [option in use](status-page.md#configuration), as a page"),
    Route(
        "/setup", "setup", "what Prometheus needs [to scrape this exporter](status-page.md#set-up), as a page"
    ),
    Route(
        "/targets/{name}",
        "target",
        "one target for people: its [page](target-page.md) with its polls, values and settings",
    ),
    Route(
        "/targets/{name}/trace",
        "target-trace",
        "POST by the form of that page: one [traced poll](target-page.md#a-traced-poll)",
        ("POST",),
    ),
    Route(
        "/api/v1/targets/{name}",
        "api-target",
        "what the [page of a target](target-page.md#json) shows, as JSON",
    ),
    Route(
        "/api/v1/targets/{name}/trace",
        "api-target-trace",
        "POST: one [traced poll](target-page.md#a-traced-poll) as JSON, for programs",
        ("POST",),
    ),
    Route("/-/assets/{name}", "assets", "style, script and icon of the pages"),
    Route("/", "overview", "[the status page](status-page.md): all targets and their state"),
)

#: what says how the exporter itself is
PROBES = ("/health", "/-/healthy", "/-/ready")

#: the exporter keeps all paths that begin with these for itself
RESERVED_PREFIXES = ("/-/", "/api/", "/targets/")
_RESERVED = frozenset(route.path for route in ROUTES)


def routes(telemetry_path: str) -> tuple[Route, ...]:
    """The whole table."""
    return (TELEMETRY._replace(path=telemetry_path), *ROUTES)


def is_reserved(path: str) -> bool:
    """Whether a path, with a slash at its end or without, is no path for telemetry."""
    return (path.rstrip("/") or "/") in _RESERVED or path.startswith(RESERVED_PREFIXES)
