"""The table of commands beside serving. `--help`, the man page and completion follow from it."""

from __future__ import annotations

from typing import NamedTuple


class SubCommand(NamedTuple):
    """One row. With `takes_options` it has the flags of the program, and `run` gets their values; else it has
    arguments of its own: `words`, or files if there are `files`, and `flags`. With `of_running` it looks for
    an exporter by its options too."""

    help: str
    takes_options: bool = False
    words: tuple[str, ...] = ()
    files: bool = False
    flags: tuple[str, ...] = ()
    of_running: bool = False


#: word → its row
COMMANDS = {
    "check": SubCommand("check the configuration, and show what is wrong with it", takes_options=True),
    "once": SubCommand("poll every target once, and print the page", takes_options=True),
    "health": SubCommand(
        "ask a running exporter whether it is well: [URL|PATH]",
        words=("/-/healthy", "/-/ready"),
        of_running=True,
    ),
    "acl": SubCommand("print the smallest ACL rule for the options in use", takes_options=True),
    "compare": SubCommand(
        "compare two pages of metrics: OLD NEW",
        files=True,
        flags=("--tolerance", "--ignore", "--ignore-label", "--json"),
    ),
    "docs": SubCommand(
        "print a page of the documentation: metrics or options; or the schema of the configuration file",
        words=("metrics", "options", "schema"),
    ),
    "man": SubCommand("print the manual page, for man"),
    "completion": SubCommand(
        "print the completion of command lines for a shell: bash, zsh or fish", words=("bash", "zsh", "fish")
    ),
}
