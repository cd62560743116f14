"""The examples of the page about credentials are configuration files."""

from __future__ import annotations

import json
import re
from pathlib import Path

from exporter.files import FileLimits
from exporter.options.config_file import ConfigFile
from exporter.targets.address import parse_address
from exporter.targets.configured import load_targets
from exporter.targets.password_file import read_passwords
from exporter.targets.target import Target

PAGE = Path(__file__).parents[2] / "docs" / "credentials.md"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)


def load(folder: Path, text: str) -> dict[str, Target]:
    file = folder / "config.yml"
    for name in re.findall(r"(?:file:|_file: )(/[\w./-]+)", text):
        (folder / Path(name).name).write_text(f"of {name}\n")
        text = text.replace(name, str(folder / Path(name).name))
    file.write_text(text)
    targets = load_targets(
        [],
        addr_given=True,
        files=[ConfigFile("config.file", str(file), FileLimits())],
        environ={"OLD_PASSWORD": "kiwi"},
    )
    return {target.alias: target for target in targets}


def test_all_ways_in_one_file(tmp_path: Path) -> None:
    targets = load(tmp_path, examples("yaml")[0])
    assert {name: (target.user, target.password) for name, target in targets.items()} == {
        "orders": ("exporter", "of /run/secrets/redis"),
        "cache-1": ("exporter", ""),
        "old": ("", "kiwi"),
        "edge": ("exporter", "of /etc/redis/edge.password"),
    }
    command = targets["cache-1"].password_command
    assert command is not None
    assert (command.name, command.ttl_s) == ("vault", 3600)


def test_a_token_of_each_service_is_given_by_a_command(tmp_path: Path) -> None:
    programs = set()
    for text in examples("yaml")[1:]:
        for target in load(tmp_path, text).values():
            assert target.user
            assert target.password_command is not None
            assert 0 < target.password_command.ttl_s <= 600
            programs.add(target.password_command.name)
    assert programs == {"developer-toolkit-elasticache", "az", "vault"}


def test_the_password_file(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    file.write_text(examples("json")[0])
    passwords = read_passwords(str(file))
    assert not passwords.warnings
    found = {
        address: passwords.log_in(parse_address(address)).password
        for address in (
            "10.0.0.1",
            "rediss://orders:@10.0.0.2:6380",
            "rediss://10.0.0.3/4",
            "a.cache.example",
            "redis://exporter:@redis-7:7000",
            "10.9.9.9:7000",
            "192.0.2.1",
        )
    }
    assert list(found.values()) == [*json.loads(file.read_text()).values(), ""]
