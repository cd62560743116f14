"""Loading targets as the program does, with a made-up environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter import files
from exporter.collectors._switches import switches
from exporter.errors import ConfigError
from exporter.options.config_file import ConfigFile
from exporter.options.option import Setting
from exporter.options.table import OPTIONS
from exporter.targets.configured import ConfiguredTargets, load_targets
from exporter.targets.shared_keys import Switches
from exporter.targets.target import Target

CONFIG = Path(__file__).parent.parent / "data" / "config"
ENVIRON = {
    "REDIS_MASTER_PASSWORD": "kiwi",
    "REDIS_REPLICA_PASSWORD": "fig",
    "SHARED_PASSWORD": "plum",
    "B_PASSWORD": "${SHARED_PASSWORD}",
}


def load(
    *addresses: str, given: bool | None = None, user: str = "", password: str = "", file: str | Path = ""
) -> ConfiguredTargets:
    return load_targets(
        addresses,
        addr_given=bool(addresses) if given is None else given,
        user=user,
        password=password,
        files=[_opened(str(file))] if file else [],
        environ=ENVIRON,
        switches=Switches(switches),
    )


def _opened(name: str) -> ConfigFile:
    """With the faults of its options."""
    file = ConfigFile("redis-file", name, files.DEFAULT)
    by_name = {name: option for option in OPTIONS for name in option.names}
    file.settings(by_name, ENVIRON, {option.flag: Setting("", "default") for option in OPTIONS})
    return file


def targets(file: Path, text: str) -> ConfiguredTargets:
    """Those of a file with this text."""
    file.write_text(text)
    return load(file=file)


def one(file: Path, settings: str) -> Target:
    """The target of an entry with these settings."""
    [target] = targets(file, f"redis_instances:\n- addr: redis://a\n  {settings}\n")
    return target


def problems_of(
    *addresses: str, given: bool | None = None, user: str = "", password: str = "", file: str | Path = ""
) -> Sequence[str]:
    with pytest.raises(ConfigError) as caught:
        load(*addresses, given=given, user=user, password=password, file=file)
    return caught.value.problems
