"""`redis_exporter completion bash|zsh|fish`: what shells complete, from the table of options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from exporter.errors import UsageError
from exporter.options.commands import COMMANDS
from exporter.options.option import Option
from exporter.options.table import OPTIONS
from exporter.options.values import BOOL, FILE, FILES

#: commands that take the flags of the program
_WITH_FLAGS = tuple(name for name, row in COMMANDS.items() if row.takes_options or row.of_running)


def words_of(option: Option) -> tuple[str, ...]:
    """The words that a value may be; () where there are too many of them."""
    if option.type is BOOL:
        return ("true", "false")
    return tuple(
        word for word in option.type.value_name.split("|") if word.isalnum() and _is_valid(option, word)
    )


def _is_valid(option: Option, word: str) -> bool:
    """A name that stands for any value, such as DURATION, is no value itself."""
    if "|" not in option.type.value_name:
        return False
    try:
        option.type.parse(word)
    except ValueError:
        return False
    return True


def is_file(option: Option) -> bool:
    return option.type in (FILE, FILES)


def _quoted(text: str) -> str:
    """One word of every shell here, with typographic apostrophes in place of quotes."""
    return "'" + text.replace("\\", "").replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"


# -- bash: a value after = is a word of its own, because = is in COMP_WORDBREAKS

_BASH = """\
# bash completion of redis_exporter. Load it with: source <(redis_exporter completion bash)
_redis_exporter() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} flag='' words=''
  COMPREPLY=()
  if [[ $cur == '=' ]]; then
    flag=$prev cur=''
  elif [[ $prev == '=' ]]; then
    flag=${{COMP_WORDS[COMP_CWORD-2]}}
  elif [[ $prev == -* && $COMP_CWORD -gt 1 ]]; then
    case $prev in
      {bools}) ;;
      *) flag=$prev ;;
    esac
  fi
  if [[ -n $flag ]]; then
    case $flag in
{values}
      *) return ;;
    esac
  elif [[ $cur == -* ]]; then
    case ${{COMP_WORDS[1]}} in
{own_flags}
      *) words='{flags}' ;;
    esac
  elif [[ $COMP_CWORD -eq 1 ]]; then
    words='{commands}'
  else
    case ${{COMP_WORDS[1]}} in
{arguments}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}}
complete -F _redis_exporter redis_exporter
"""
_BASH_FILES = 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;'


def bash() -> str:
    values, own_flags, arguments = [], [], []
    for option in OPTIONS:
        names = "|".join(option.shown)
        if is_file(option):
            values.append(f"      {names}) {_BASH_FILES}")
        elif words_of(option):
            values.append(f"      {names}) words='{' '.join(words_of(option))}' ;;")
    for name, row in COMMANDS.items():
        if name not in _WITH_FLAGS:
            own_flags.append(f"      {name}) words='{' '.join((*row.flags, '--help'))}' ;;")
        if row.files:
            arguments.append(f"      {name}) {_BASH_FILES}")
        elif row.words:
            arguments.append(f"      {name}) words='{' '.join(row.words)}' ;;")
    flags = [flag if option.type is BOOL else f"{flag}=" for option in OPTIONS for flag in option.shown]
    return _BASH.format(
        bools="|".join(flag for option in OPTIONS if option.type is BOOL for flag in option.shown),
        values="\n".join(values),
        own_flags="\n".join(own_flags),
        arguments="\n".join(arguments),
        commands=" ".join(COMMANDS),
        flags=" ".join(flags),
    )


# -- zsh

_ZSH = """\
#compdef redis_exporter
# zsh completion of redis_exporter. Load it with: source <(redis_exporter completion zsh)
_redis_exporter() {{
  local context state state_descr line
  typeset -A opt_args
  local -a flags commands
  commands=(
{commands}
  )
  case ${{words[2]}} in
{own_flags}
    *) flags=(
{flags}
    ) ;;
  esac
  _arguments "$flags[@]" '1: :->command' '*: :->argument'
  case $state in
    command) _describe -t commands command commands ;;
    argument)
      case ${{words[2]}} in
{arguments}
      esac ;;
  esac
}}
if [ "${{funcstack[1]}}" = _redis_exporter ]; then
  _redis_exporter "$@"
else
  compdef _redis_exporter redis_exporter
fi
"""


def _zsh_text(text: str) -> str:
    """A text within the brackets of _arguments, or after the colon of _describe."""
    return text.replace("[", "(").replace("]", ")").replace(":", "\\:")


def _zsh_flags(option: Option) -> Iterator[str]:
    star = "*" if option.repeatable else ""
    name = _zsh_text(option.type.value_name or "value").replace("'", "")
    action = "_files" if is_file(option) else f"({' '.join(words_of(option))})" if words_of(option) else ""
    for flag in option.shown:
        equals, colons = ("=-", "::") if option.type is BOOL else ("=", ":")
        yield f"      {_quoted(f'{star}{flag}{equals}[{_zsh_text(option.help)}]{colons}{name}:{action}')}"


def zsh() -> str:
    own_flags, arguments = [], []
    for name, row in COMMANDS.items():
        if name not in _WITH_FLAGS:
            own_flags.append(f"    {name}) flags=({' '.join((*row.flags, '--help'))}) ;;")
        if row.files:
            arguments.append(f"        {name}) _files ;;")
        elif row.words:
            arguments.append(f"        {name}) compadd -- {' '.join(row.words)} ;;")
    return _ZSH.format(
        commands="\n".join(f"    {_quoted(f'{name}:{row.help}')}" for name, row in COMMANDS.items()),
        own_flags="\n".join(own_flags),
        flags="\n".join(line for option in OPTIONS for line in _zsh_flags(option)),
        arguments="\n".join(arguments),
    )


# -- fish


def fish() -> str:
    complete = "complete -c redis_exporter"
    lines = [
        "# fish completion of redis_exporter. Load it with: redis_exporter completion fish | source",
        f"{complete} -f",
    ]
    for name, row in COMMANDS.items():
        lines.append(f"{complete} -n __fish_use_subcommand -a {name} -d {_quoted(row.help)}")
        used = f"{complete} -n '__fish_seen_subcommand_from {name}'"
        if row.words:
            lines.append(f"{used} -a {_quoted(' '.join(row.words))}")
        if row.files:
            lines.append(f"{used} -F")
        lines += [f"{used} -l {flag.removeprefix('--')}" for flag in row.flags]
    others = " ".join(name for name in COMMANDS if name not in _WITH_FLAGS)
    free = f"{complete} -n 'not __fish_seen_subcommand_from {others}'"
    for option in OPTIONS:
        value = ""
        if is_file(option):
            value = " -r -F"
        elif option.type is not BOOL:
            value = f" -x -a {_quoted(' '.join(words_of(option)))}" if words_of(option) else " -x"
        for flag in option.shown:
            form = (
                f"-l {flag.removeprefix('--')}" if flag.startswith("--") else f"-s {flag.removeprefix('-')}"
            )
            lines.append(f"{free} {form}{value} -d {_quoted(option.help)}")
    return "\n".join(lines) + "\n"


SHELLS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def run(argv: Sequence[str]) -> int:
    if set(argv) & {"-h", "-help", "--help"}:
        print(
            "usage: redis_exporter completion bash|zsh|fish\n\n"
            "Print the completion of command lines. Load it where the shell starts:\n\n"
            "  bash  source <(redis_exporter completion bash)\n"
            "  zsh   source <(redis_exporter completion zsh)\n"
            "  fish  redis_exporter completion fish | source"
        )
        return 0
    if len(argv) != 1 or argv[0] not in SHELLS:
        raise UsageError(f"write redis_exporter completion {' or '.join(SHELLS)}")
    print(SHELLS[argv[0]](), end="")
    return 0
