"""All configured targets: from the flags and from configuration files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from exporter.errors import ConfigError
from exporter.options import lengths
from exporter.options.config_file import ConfigFile
from exporter.options.target_options import Discover
from exporter.targets.address import parse_address
from exporter.targets.instances_file import InstancesFile, Named
from exporter.targets.shared_keys import SharedSettings, Switches
from exporter.targets.target import Target

#: no collector can be switched
NO_SWITCHES = Switches(dict)


class ConfiguredTargets(list[Target]):
    """The targets, and the settings that files have for targets which are found elsewhere: by group, and
    under "" those of targets without one. Of two files with settings for one group the first one counts."""

    def __init__(self, targets: Iterable[Target], settings: Mapping[str, SharedSettings]) -> None:
        super().__init__(targets)
        self.settings = settings


def settings_of(targets: Sequence[Target]) -> Mapping[str, SharedSettings]:
    """The settings that files beside these targets have, if there are any."""
    return targets.settings if isinstance(targets, ConfiguredTargets) else {}


def load_targets(
    addresses: Sequence[str],
    *,
    addr_given: bool,
    user: str = "",
    password: str = "",
    files: Sequence[ConfigFile] = (),
    discover: Discover = "",
    environ: Mapping[str, str],
    switches: Switches = NO_SWITCHES,
) -> ConfiguredTargets:
    """All targets that the flags and the configuration files name, in that order.

    With `addr_given` False, `addresses` are a default, which counts only if no file names targets. `user`
    and `password` belong to `addresses` only: one for all, or a comma list with one for each; `discover`
    too. Raises one ConfigError with every mistake, those in the options of the files included. `switches`
    are those of the collectors.
    """
    problems: list[str] = []
    named: list[Named] = []
    if addr_given or not any(file.names_targets for file in files):
        named += _from_flags(addresses, user, password, problems)
        named = [Named(each.where, replace(each.target, discover=discover)) for each in named]
    settings: dict[str, SharedSettings] = {}
    for file in files:
        reading = InstancesFile(file, environ, switches, others=addr_given)
        named += reading.read()
        settings = {**reading.settings, **settings}
        file.forget()
        problems += file.faults.joined(reading.faults).lines
    _refuse_duplicates(named, problems)
    problems += [problem for each in named for problem in _long_credentials(each)]
    if problems:
        raise ConfigError(*problems)
    return ConfiguredTargets((each.target for each in named), settings)


def _long_credentials(named: Named) -> Iterator[str]:
    for what, text in (("user", named.target.user), ("password", named.target.password)):
        fault = lengths.fault(text, lengths.CREDENTIAL_MAX)
        if fault:
            yield f"{named.where}: {what}: {fault}"


def _from_flags(addresses: Sequence[str], user: str, password: str, problems: list[str]) -> list[Named]:
    users = _one_each("--redis.user", user, len(addresses), problems)
    passwords = _one_each("--redis.password", password, len(addresses), problems)
    named = []
    for number, address in enumerate(addresses):
        where = f"--redis.addr: address {number + 1} of {len(addresses)}"
        if number and "@" in address and "://" not in address:
            # the list was split at its commas, so this may be the end of a password
            problems.append(
                f"{where}: write a comma in a user or password as %2C, and redis:// before each address that "
                f"has a password"
            )
            continue
        try:
            target = parse_address(address)
        except ConfigError as error:
            problems.append(f"{where}: {error}")
            continue
        if not target.user and users[number]:
            target = replace(target, user=users[number], user_rule="--redis.user")
        if not target.password and passwords[number]:
            target = replace(target, password=passwords[number], password_rule="--redis.password")
        named.append(Named(where, replace(target, source="flags")))
    return named


def _one_each(flag: str, text: str, count: int, problems: list[str]) -> Sequence[str]:
    """A single address takes the whole text: its password may have a comma."""
    parts = text.split(",") if count > 1 else [text]
    if len(parts) == 1:
        return parts * count
    if len(parts) != count:
        problems.append(
            f"{flag} has {len(parts)} values for {count} addresses: write one for all, or one for each, "
            f"separated by commas"
        )
        return [""] * count
    return parts


def _refuse_duplicates(named: Sequence[Named], problems: list[str]) -> None:
    addrs: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for each in named:
        addr, alias = each.target.addr, each.target.alias
        if addrs.setdefault(addr, each.where) != each.where:
            problems.append(f"{each.where}: {addr} is already named by {addrs[addr]}: leave one of them out")
        if alias and aliases.setdefault(alias, each.where) != each.where:
            problems.append(
                f"{each.where}: the name {alias!r} is already used by {aliases[alias]}: write another one"
            )
