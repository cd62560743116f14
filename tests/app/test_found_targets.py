"""The sources that options name, and the settings of the targets that they find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exporter.app.found_targets import settle, sources_of, with_found
from exporter.app.run import read_targets
from exporter.options.commandline import parse
from exporter.targets.address import parse_address
from exporter.targets.configured import ConfiguredTargets
from exporter.targets.target import NodeFacts

CONFIGURATION = """
options: {targets.file-sd: "/etc/redis/*.yml"}
defaults: {password: of-all, labels: {env: production, team: none}}
groups:
  cache: {user: cache, password: of-cache, interval: 10s}
"""
FOUND = replace(parse_address("h"), source="file_sd", labels=(("team", "orders"),))


@pytest.fixture
def configured(tmp_path: Path) -> ConfiguredTargets:
    file = tmp_path / "redis.yml"
    file.write_text(CONFIGURATION)
    return read_targets(parse([f"--config.file={file}"], {}), {})


def test_each_pattern_and_each_url_is_a_source() -> None:
    flags = ["--targets.file-sd=/a/*.yml,/b.json", "--targets.http-sd=http://user:pw@h/x"]
    assert [source.name for source in sources_of(parse(flags, {}))] == [
        "--targets.file-sd=/a/*.yml",
        "--targets.file-sd=/b.json",
        "--targets.http-sd=http://***@h/x",
    ]
    assert list(sources_of(parse(flags, {}))) == list(sources_of(parse(flags, {})))


def test_urls_that_differ_in_their_secrets_are_sources_of_their_own() -> None:
    flags = [f"--targets.http-sd=http://h/x?token={word}" for word in ("one", "two")]
    assert [source.name for source in sources_of(parse(flags, {}))] == [
        "--targets.http-sd=http://h/x?token=***",
        "--targets.http-sd=http://h/x?token=*** (2)",
    ]


def test_a_discovered_target_is_what_others_have_found_if_they_have(configured: ConfiguredTargets) -> None:
    node = NodeFacts(cluster="orders")
    discovered = replace(FOUND, source="discovered", password="of-the-seed", node=node)
    [target] = with_found(configured, {"discovered": [discovered], "--targets.file-sd=/a": [FOUND]})
    assert (target.source, target.password, target.node) == ("file_sd", "of-all", node)


def test_found_ones_have_the_defaults_and_their_own_labels_win(configured: ConfiguredTargets) -> None:
    [target] = settle([FOUND], configured)
    assert (target.password, target.source) == ("of-all", "file_sd")
    assert dict(target.labels) == {"env": "production", "team": "orders"}


def test_a_label_names_the_group_whose_settings_they_have(configured: ConfiguredTargets) -> None:
    [target] = settle([replace(FOUND, settings_group="cache", alias="a")], configured)
    assert (target.user, target.password, target.alias) == ("cache", "of-cache", "a")
    assert target.overrides == (("poll.interval", 10.0),)


def test_one_of_an_unknown_group_is_left_out(
    configured: ConfiguredTargets, caplog: pytest.LogCaptureFixture
) -> None:
    assert settle([replace(FOUND, settings_group="nobody")], configured) == []
    assert "its label __group__ names" in caplog.text


def test_what_others_have_found_stays_as_it_is(configured: ConfiguredTargets) -> None:
    discovered = replace(FOUND, source="discovered")
    assert settle([discovered], configured) == [discovered]
    assert settle([FOUND], []) == [FOUND]


def test_with_a_source_there_is_no_target_by_default() -> None:
    assert read_targets(parse(["--targets.file-sd=/a/*.yml"], {}), {}) == []
    [given] = read_targets(parse(["--targets.file-sd=/a/*.yml", "--redis.addr=h"], {}), {})
    assert given.host == "h"
