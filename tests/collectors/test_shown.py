"""Which families the options show."""

from __future__ import annotations

import pytest

from exporter.collectors._contract import Collector
from exporter.collectors._registry import REGISTRY
from exporter.collectors._shown import hidden_families, is_denied
from exporter.collectors.info import GATED
from exporter.metrics.family import Field, NameSet, gauge, summary
from exporter.metrics.lane import Lane
from exporter.options.commandline import parse
from exporter.options.metrics_options import MetricsOptions


class Mixed(Collector[None]):
    name = "mixed"
    help = "Names of every name set."
    lane = Lane.FAST
    families = (
        gauge("go_name", "Help.", name_set=NameSet.GO),
        gauge("own_name", "Help.", labels=("cmd",)),
        gauge("second_name", "Help.", name_set=NameSet.SECOND),
        gauge("second_name_labelled", "Help.", labels=("cmd",), name_set=NameSet.SECOND),
        summary("second_name_quantiles", "Help.", name_set=NameSet.SECOND),
        summary("command_call_duration_seconds", "Help.", labels=("cmd",), name_set=NameSet.SECOND),
        gauge(
            "second_name_of_a_field",
            "Help.",
            Field("host", labels=(("port", "port"),)),
            name_set=NameSet.SECOND,
        ),
        gauge("behind_a_flag", "Help.", name_set=NameSet.GO),
    )


def metrics(*argv: str) -> MetricsOptions:
    return parse(argv, {}).metrics


class TestHiddenFamilies:
    @pytest.mark.parametrize(
        ("second_names", "hidden"),
        [
            ("all", set()),
            ("scalar", {"second_name_labelled", "second_name_quantiles"}),
            (
                "none",
                {
                    "second_name",
                    "second_name_labelled",
                    "second_name_quantiles",
                    "second_name_of_a_field",
                    "command_call_duration_seconds",
                },
            ),
        ],
    )
    def test_second_names(self, second_names: str, hidden: set[str]) -> None:
        assert hidden_families([Mixed()], metrics(f"--second-names={second_names}"), {}) == hidden

    def test_those_behind_a_flag(self) -> None:
        all_names = metrics("--second-names=all")
        assert hidden_families([Mixed()], all_names, {"behind_a_flag": False}) == {"behind_a_flag"}
        assert hidden_families([Mixed()], all_names, {"behind_a_flag": True}) == set()

    def test_by_default_second_names_are_scalar_but_for_one(self) -> None:
        assert hidden_families([Mixed()], metrics(), {}) == {"second_name_labelled", "second_name_quantiles"}

    @pytest.mark.parametrize(
        ("argv", "shown"),
        [
            (["--metrics.allow=go_*"], {"go_name"}),
            (["--metrics.allow=redis_go_name,own_nam?"], {"go_name", "own_name"}),
            (["--metrics.deny=second_*,redis_behind_a_flag,command*"], {"go_name", "own_name"}),
            (["--metrics.allow=*name", "--metrics.deny=redis_go_*"], {"own_name", "second_name"}),
            (["--namespace=kv", "--metrics.allow=kv_own_name,redis_go_name"], {"own_name"}),
        ],
    )
    def test_those_not_allowed_or_denied(self, argv: list[str], shown: set[str]) -> None:
        hidden = hidden_families([Mixed()], metrics(*argv), {})
        assert {family.name for family in Mixed.families} - hidden == shown

    def test_a_family_may_be_denied_by_itself(self) -> None:
        assert is_denied("clients", metrics("--metrics.deny=redis_cli*"))
        assert is_denied("redis_clients", metrics("--metrics.deny=cli*"))
        assert not is_denied("clients", metrics("--metrics.allow=other"))

    def test_every_flag_has_a_family(self) -> None:
        assert GATED.keys() <= {family.name for collector in REGISTRY for family in collector.families}
