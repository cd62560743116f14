"""What is fuzzed: a row for each case."""

from __future__ import annotations

import importlib
from typing import NamedTuple, cast

from tests.fuzz.case import Case


class Row(NamedTuple):
    """`what` is read; `place` is a class of `tests.fuzz.cases`. `guides` are modules of Python that guide the
    fuzzer beside the compiled engine: what they do with an input decides which inputs are kept. `weight` is
    the share of the time."""

    what: str
    place: str
    guides: tuple[str, ...] = ()
    weight: int = 1

    @property
    def is_native(self) -> bool:
        """Whether it is about the compiled engine: then small objects may be in the sanitizer's care too."""
        return not self.guides

    def make(self) -> Case:
        module, _, name = self.place.partition(".")
        return cast(Case, getattr(importlib.import_module(f"tests.fuzz.cases.{module}"), name)())


_PROTOCOL = ("exporter.protocol",)
_WEB = ("exporter.web",)
_FILES = ("exporter.options", "exporter.targets")

ROWS: dict[str, Row] = {
    "frames": Row("where replies end; hiredis agrees", "framing.Frames", weight=2),
    "exchange": Row("exchanges of the core over sockets, in pieces", "framing.Exchange", weight=2),
    "replies": Row(
        "replies in pieces and whole, within limits", "framing.Replies", ("exporter.connection.replies",)
    ),
    "info": Row("INFO, by the tables of all collectors", "texts.Info", weight=3),
    "info-lines": Row("INFO of generated lines", "texts.InfoLines", weight=2),
    "clients": Row("CLIENT LIST", "texts.Clients", weight=2),
    "client-lines": Row("CLIENT LIST of generated lines", "texts.ClientLines"),
    "histograms": Row("LATENCY HISTOGRAM as it comes, and its values", "texts.Histograms", weight=2),
    "histogram-rows": Row("LATENCY HISTOGRAM of generated rows", "texts.HistogramRows"),
    "commandstats": Row("INFO commandstats for the sums of histograms", "texts.CommandStatistics"),
    "label-texts": Row("escaping and cutting label values", "pages.LabelTexts", weight=2),
    "names": Row("pages with hostile names", "pages.Names", weight=2),
    "blocks": Row("blocks of any bytes and offsets", "pages.Blocks", weight=2),
    "segments": Row("pages that change, segment by segment", "pages.Segments"),
    "clusters": Row("CLUSTER NODES and CLUSTER SLOTS", "servers.Clusters", _PROTOCOL),
    "facts": Row("facts, replication, forks, redirections", "servers.Facts", _PROTOCOL),
    "error-texts": Row(
        "error replies as logs show them", "servers.ErrorTexts", ("exporter.targets.redaction",)
    ),
    "polls": Row("changed replies to every collector; its page", "polls.Polls", weight=6),
    "steady-polls": Row("changed replies to polls by a program", "steady.SteadyPolls", weight=3),
    "request-head": Row(
        "heads of requests; aiohttp agrees", "web.RequestHeads", ("exporter.web.request_head",)
    ),
    "requests": Row("all that a connection sends; aiohttp agrees", "web.Requests", _WEB, weight=3),
    "query": Row("parameters and headers of requests", "web.Query", _WEB),
    "addresses": Row("addresses of servers", "settings.Addresses", ("exporter.targets.address",)),
    "options": Row("values of all options", "settings.Options", ("exporter.options.values",)),
    "yaml": Row("YAML; PyYAML agrees", "settings.Yaml", ("exporter.options.yaml_reader",)),
    "configuration": Row("configuration files", "settings.Configuration", _FILES, weight=2),
    "target-groups": Row("lists of file_sd and http_sd", "settings.TargetGroups", _FILES),
    "password-file": Row("password files", "settings.PasswordFile", _FILES),
    "state-file": Row(
        "state files", "settings.StateFile", ("exporter.app.saved_state", "exporter.app.state_file")
    ),
}
