"""Reads the command line and the environment by the table of options, and prints `--help` and
`--print-config`.

The syntax is that of Go's `flag` package: `-x`, `--x`, `--x=v`, `--x v`, booleans `--x` or `--x=false`. The
command line wins over the environment, this over the configuration file, and this over the default.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

from exporter import files, masks, safe_text
from exporter.errors import ConfigError, UsageError, bounded
from exporter.options.config_file import ConfigFile
from exporter.options.option import Option, Setting
from exporter.options.script_files import read_scripts
from exporter.options.table import OPTIONS, Options
from exporter.options.values import (
    ADDRESSES,
    BOOL,
    CREDENTIAL,
    FALSE_WORDS,
    FILE,
    SERVER_NAME,
    TEXT,
    TRUE_WORDS,
    ScriptFile,
)

HELP_COLUMNS = 100
_FLAG = re.compile(r"--?(?P<name>[A-Za-z][A-Za-z0-9._-]*)(?:=(?P<value>.*))?\Z", re.DOTALL)
_BY_NAME = {name: option for option in OPTIONS for name in option.names}


def parse(
    argv: Sequence[str],
    environ: Mapping[str, str],
    commands: Container[str] = (),
    *,
    of_files: Mapping[str, str] | None = None,
) -> Options:
    """Read the arguments (without the program's name and the command), the environment, and the options of
    configuration files. `commands` are the words that may only come first. `of_files` are the variables that
    files may name, in place of the environment.

    Raises UsageError for what cannot be read, and ConfigError for values that do not go together or files
    that do not exist, with each problem on its own line. What is wrong in a configuration file is raised
    later, with what is wrong with the targets in it: see `Options`. `--help` and `--version` work even if
    something else is wrong.
    """
    problems: list[str] = []
    settings: dict[str, Setting] = {}
    for option in OPTIONS:
        for variable in option.variables:
            text = environ.get(variable)
            if text is not None and (text or option.type.empty):
                settings[option.flag] = Setting(text, "environment", variable)
                break
    settings.update(_read_flags(argv, problems, commands))
    return _options_of(settings, problems, environ if of_files is None else of_files)


def read_again(options: Options, environ: Mapping[str, str]) -> Options:
    """The options as they are now that files may have changed. Raises what `parse` raises."""
    given = {
        flag: setting
        for flag, setting in options.settings.items()
        if setting.source in ("flag", "environment")
    }
    return _options_of(given, [], environ)


def _options_of(given: Mapping[str, Setting], problems: list[str], environ: Mapping[str, str]) -> Options:
    """Read the values. `given` are those of flags and variables; `problems` were found before."""
    conflicts: list[str] = []
    settings = {option.flag: Setting(option.default, "default") for option in OPTIONS}
    config_files = _open_config_files(given)
    for config_file in config_files:
        settings.update(config_file.settings(_BY_NAME, environ, settings))
    settings.update(given)
    values = {option.flag: _read_value(option, settings[option.flag], problems) for option in OPTIONS}
    is_shown_only = values["help"] or values["version"]
    values["script"] = () if is_shown_only else _read_scripts(values, settings["script"], conflicts)
    options = replace(_build(values, settings), config_files=config_files)
    if is_shown_only:
        return options
    conflicts.extend(_conflicts(options))
    if problems:
        raise UsageError("\n".join(bounded([*problems, *conflicts])))
    if conflicts:
        raise ConfigError(*conflicts)
    return options


def _open_config_files(given: Mapping[str, Setting]) -> tuple[ConfigFile, ...]:
    """The files that flags or variables name; () if nothing but help or the version is shown."""

    def value(flag: str) -> Any:
        option = _BY_NAME[flag]
        setting = given.get(flag)
        return _read_value(option, setting or Setting(option.default, "default"), [])

    if value("help") or value("version"):
        return ()
    limits = files.FileLimits(value("files.max-bytes"), value("files.timeout"))
    flags = {value(flag): flag for flag in ("redis-file", "config.file")}  # a file of both is one
    return tuple(ConfigFile(flag, name, limits) for name, flag in reversed(flags.items()) if name)


def _read_flags(argv: Sequence[str], problems: list[str], commands: Container[str]) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    rest = iter(enumerate(argv, 1))
    previous: Option | None = None
    for position, argument in rest:
        match = _FLAG.match(argument)
        if match is None:
            # do not show the argument: it may be the second half of a password
            of_bool = previous is not None and previous.type is BOOL and argument in TRUE_WORDS + FALSE_WORDS
            hint = f"write --{previous.flag}={argument}" if previous and of_bool else "flags begin with -"
            if argument in commands:
                hint = f"write the command {argument} before all flags"
            problems.append(f"argument {position} belongs to no flag: {hint}")
            previous = None
            continue
        name, text = match["name"], match["value"]
        option = previous = _BY_NAME.get(name)
        if option is None:
            problems.append(f"unknown flag --{name}{_nearest(name)}")
            _skip_value(argv, position, text, rest)
            continue
        if text is None and option.type is BOOL:
            text = "true"
        elif text is None:
            _, text = next(rest, (0, None))
            previous = None
            if text is None or (
                option.type not in (TEXT, CREDENTIAL, SERVER_NAME, FILE) and text != "" and _FLAG.match(text)
            ):
                problems.append(f"--{name} needs a value: write --{name}={option.type.value_name}")
                continue
        before = found.get(option.flag) if option.repeatable else None
        text = f"{before.text},{text}" if before and before.text else text
        found[option.flag] = Setting(text, "flag", flag=name if name != option.flag else "")
    return found


def _skip_value(
    argv: Sequence[str], position: int, text: str | None, rest: Iterator[tuple[int, str]]
) -> None:
    """The argument after an unknown flag is its value: one mistake, one line."""
    if text is None and position < len(argv) and not argv[position].startswith("-"):
        next(rest)


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name[:100], _BY_NAME, n=1, cutoff=0.7)
    return f": did you mean --{near[0]}?" if near else ": --help lists them all"


def _read_value(option: Option, setting: Setting, problems: list[str]) -> Any:
    try:
        if not option.type.raw and safe_text.valid(setting.text) != setting.text:
            raise ValueError("it holds bytes that are not UTF-8: write it in UTF-8")
        return option.type.parse(setting.text)
    except ValueError as error:
        problems.append(f"{_place(option, setting)}: {masks.mask(str(error))}")
        return option.type.parse(option.default)


def _place(option: Option, setting: Setting) -> str:
    """Where a value was written, and its beginning."""
    name = setting.variable or f"--{setting.flag or option.flag}"
    if setting.place:
        name = f"{setting.place}: {option.flag}"
    return f"{name}={textwrap.shorten(_shown(option, setting.text)[:1000], 80, placeholder='…')}"


def _shown(option: Option, text: str) -> str:
    """A value without what is secret in it."""
    if option.secret and text:
        return masks.HIDDEN
    return masks.mask_addresses(text) if option.type is ADDRESSES else masks.mask(text)


def _read_scripts(
    values: Mapping[str, Any], setting: Setting, conflicts: list[str]
) -> tuple[ScriptFile, ...]:
    problems: list[str] = []
    limits = files.FileLimits(values["files.max-bytes"], values["files.timeout"])
    scripts = read_scripts(values["script"], limits, problems)
    conflicts += [f"{_place(_BY_NAME['script'], setting)}: {problem}" for problem in problems]
    return scripts


def _build(values: Mapping[str, Any], settings: Mapping[str, Setting]) -> Options:
    """Put values, by flag, into their fields."""
    groups: dict[str, dict[str, Any]] = {}
    for option in OPTIONS:
        groups.setdefault(option.group, {})[option.attribute] = values[option.flag]
    empty = Options(settings=dict(settings))
    return replace(empty, **{name: replace(getattr(empty, name), **group) for name, group in groups.items()})


def _conflicts(options: Options) -> Iterator[str]:
    redis, web = options.redis, options.web
    if bool(web.tls_server_key_file) != bool(web.tls_server_cert_file):
        given, missing = ("key", "cert") if web.tls_server_key_file else ("cert", "key")
        yield f"--tls-server-{given}-file is set alone: set --tls-server-{missing}-file too, or neither"
    elif web.tls_server_ca_cert_file and not web.tls_server_cert_file:
        yield (
            "--tls-server-ca-cert-file is set without a certificate: set --tls-server-cert-file and "
            "--tls-server-key-file too"
        )
    if bool(redis.tls_client_key_file) != bool(redis.tls_client_cert_file):
        given, missing = ("key", "cert") if redis.tls_client_key_file else ("cert", "key")
        yield f"--tls-client-{given}-file is set alone: set --tls-client-{missing}-file too, or neither"


def help_text(commands: Mapping[str, str]) -> str:
    """The text of `--help`, at most `HELP_COLUMNS` wide. `commands` are the sub-commands and what they do."""
    lines = ["usage: redis_exporter [command] [flags]", ""]
    lines += ["Without a command: start polling and serve /metrics. Commands:", ""]
    lines += [f"  {name:<10} {text}" for name, text in commands.items()]
    lines += ["", "Write a flag as -x, --x, --x=value or --x value; a boolean as --x or --x=false."]
    lines += ["A flag wins over its environment variable (in brackets), that over the option in a file"]
    lines += ["(--config.file), and that over the default."]
    for title, options in groupby(OPTIONS, lambda option: option.title):
        lines += ["", f"{title}:"]
        for option in options:
            lines += _help_of(option)
    return "\n".join(lines) + "\n"


def _help_of(option: Option) -> list[str]:
    default = f" Default: {option.default}." if option.default else ""
    variable = f" [{option.variable}]" if option.variable else ""
    indent = " " * 8
    text = textwrap.wrap(
        option.help + default + variable,
        HELP_COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"  {' '.join(option.shown)} {option.type.value_name}".rstrip(), *text]


class ShownSetting(NamedTuple):
    """What people may see of one option: its value without secrets, where that comes from, and whether it
    was given."""

    option: Option
    text: str
    where: str
    is_given: bool


def shown_settings(options: Options) -> Iterator[ShownSetting]:
    """Every option."""
    for option in OPTIONS:
        setting = options.settings[option.flag]
        where = f"environment: {setting.variable}" if setting.variable else setting.source
        if setting.place:
            where = f"file: {setting.place}"
        yield ShownSetting(option, _shown(option, setting.text), where, setting.source != "default")


def print_config(options: Options) -> str:
    """One line for each option: its value and its source. Passwords are masked."""
    return "".join(f"--{each.option.flag}={each.text}  ({each.where})\n" for each in shown_settings(options))
