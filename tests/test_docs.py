"""What the pages for readers name is there: flags and their defaults, series, examples, links, targets of
make."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exporter.collectors._registry import REGISTRY
from exporter.commands.docs import PAGES as MADE
from exporter.errors import REASONS
from exporter.files import FileLimits
from exporter.metrics.lane import Lane
from exporter.options.commandline import help_text
from exporter.options.commands import COMMANDS
from exporter.options.config_file import ConfigFile
from exporter.options.table import OPTIONS
from exporter.pages.exposition import AGE
from exporter.targets.configured import load_targets
from exporter.targets.target import Target
from exporter.telemetry.target_series import FAMILIES
from tests.server_kinds import NAMES as SERVER_KINDS
from tests.servers import Certificates
from tests.test_architecture import GROUND, WINGS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
COMMAND_PAGE = ROOT / "docs" / "commands.md"
STARTED = ROOT / "docs" / "getting-started.md"
POLLING = ROOT / "docs" / "polling.md"
FLEET = ROOT / "docs" / "fleet.md"
TARGETS = ROOT / "docs" / "targets.md"
SERVERS = ROOT / "docs" / "servers.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
PAGES = [README, CONTRIBUTING, ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [ROOT / "CHANGELOG.md", *(page for page in PAGES if page.stem not in MADE)]  # by hand
WIDTH_MAX = 120
#: words that our style leaves out: other words are plainer (flags are not meant)
AVOIDED = re.compile(
    r"(?<!--)\b(anew|whoever|none is|so many|be it|fares?|bears?|tells?|told|the document|handbook)\b", re.I
)
#: an option was called so once
OLD_FLAG = "handbook-names"
FLAGS = {flag: option for option in OPTIONS for flag in option.names}
#: of benches and of `compare`, and the one that stands for any
OTHER_FLAGS = {
    # of commands that give passwords
    *("replication-group-id", "serverless-cache-name", "user-id", "region"),
    *("identity", "resource", "query", "output"),
    # of docker and kubectl
    *("rm", "publish", "detach", "name", "read-only", "cap-drop", "security-opt", "memory", "cpus", "env"),
    "kustomize",
    "now",  # of systemctl
    "cacert",  # of curl
    "quick",
    "before",
    "out",
    "real",
    "rival",
    "latency-ms",
    "stall-s",
    "every-s",
    "error-share",
    "x",
    "json",
    "ignore",
    "ignore-label",
    "tolerance",
}
#: what begins like a series: our command, examples of scripts, labels, and what only an old Go exporter has
OTHER_SERIES = {
    *("redis_exporter", "redis_exporter_", "redis_active_users", "redis_jobs_done_total", "redis_role"),
    *("redis_enterprise", "redis_connected_clients_details"),
}
ENVIRON = {"REDIS_PASSWORD": "one", "CACHE_PASSWORD": "two"}


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def instances(page: Path, folder: Path) -> list[Target]:
    """The targets of the instances file that a page shows."""
    block = next(
        block
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
        if "redis_instances:" in block
    )
    file = folder / "instances.yml"
    file.write_text(block)
    files = [ConfigFile("config.file", str(file), FileLimits())]
    return load_targets([], addr_given=False, files=files, environ=ENVIRON)


def anchors(page: Path) -> set[str]:
    """What links to a page's headings end with."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def without_examples(page: Path) -> list[str]:
    """The lines of a page outside of its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M).splitlines()


def tabled(page: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Of the rows of a page's tables that hold flags alone in a cell: the flags, and the cell of defaults
    after it."""
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        for cell, after in itertools.pairwise(cells):
            if re.fullmatch(r"(`--[\w.-]+`(, )?)+", cell):
                yield re.findall(r"`--([\w.-]+)`", cell), after.replace("`", "").split(", ")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(((?!\w+://)[^)#]*)#([^)]+)\)", page.read_text())
    assert [
        (file, anchor)
        for file, anchor in links
        if anchor not in anchors(page.parent / file if file else page)
    ] == []


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_lines_are_short(page: Path) -> None:
    """Those of tables and examples may be longer."""
    lines = [line for line in without_examples(page) if not line.startswith("|")]
    assert [line for line in lines if len(line) > WIDTH_MAX] == []


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / "docs" / "options.md"], ids=page_id)
def test_words_are_plain(page: Path) -> None:
    assert [line for line in without_examples(page) if AVOIDED.search(line)] == []


def test_words_of_the_help_are_plain() -> None:
    text = help_text({name: row.help for name, row in COMMANDS.items()})
    assert [line for line in text.split("\n") if AVOIDED.search(line)] == []


def test_words_of_the_code_are_plain() -> None:
    """Docstrings, comments, HELP texts, errors and log lines alike."""
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for suffix in ("py", "pyx", "pxd", "pyi")
        for path in sorted((ROOT / "exporter").rglob(f"*.{suffix}"))
        for line in path.read_text().split("\n")
        if AVOIDED.search(line.replace(OLD_FLAG, ""))
    ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_flags_exist(page: Path) -> None:
    named = re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*)", page.read_text())
    assert set(named) - FLAGS.keys() - OTHER_FLAGS == set()


@pytest.mark.parametrize("page", [COMMAND_PAGE, POLLING], ids=page_id)
def test_defaults_are_those_of_the_flags(page: Path) -> None:
    rows = [
        (flag, default)
        for flags, defaults in tabled(page)
        for flag, default in zip(flags, defaults, strict=False)
    ]
    assert len(rows) >= 4
    assert [(flag, FLAGS[flag].default) for flag, _ in rows] == rows


def test_every_series_about_a_target_is_listed() -> None:
    pages = POLLING.read_text() + FLEET.read_text()
    listed = set(re.findall(r"`redis_(\w+)(?:\{[\w,]+\})?`", pages))
    assert {family.name for family in (*FAMILIES, AGE)} <= listed


def test_every_reason_is_listed() -> None:
    sentence = re.search(r"Reasons are a closed set: ([`\w\s]+)\.", POLLING.read_text())
    assert sentence is not None
    assert tuple(re.findall(r"\w+", sentence[1])) == REASONS


def test_each_lane_lists_its_collectors() -> None:
    rows = rows_of(POLLING, "| lane | flag | default | what it asks for |")
    listed = {cells[0]: sorted(re.findall(r"`(\w+)`", cells[3])) for cells in rows}
    assert listed == {
        lane.value: sorted(collector.name for collector in REGISTRY if collector.lane is lane)
        for lane in Lane
    }


def test_the_page_of_commands_shows_the_help_texts_of_today() -> None:
    rows = MADE["metrics"]().splitlines()
    shown = re.findall(r"^# HELP (\w+) (.+?)(?: Lane: \w+\.)?$", COMMAND_PAGE.read_text(), re.M)
    assert len(shown) >= 4
    assert [
        (name, text)
        for name, text in shown
        if not any(
            row.startswith(f"| `{name}`")
            and row.removesuffix(" |").removesuffix(" *own*").endswith(f" {text}")
            for row in rows
        )
    ] == []


def test_the_first_configuration_file_is_read(tmp_path: Path) -> None:
    main, replica = instances(STARTED, tmp_path)
    assert (main.alias, main.user, main.password, dict(main.labels)) == (
        "orders-main",
        "exporter",
        "one",
        {"team": "orders"},
    )
    assert replica.overrides == (("poll.interval", 10.0),)


def test_the_configuration_files_of_the_docs_are_read(tmp_path: Path) -> None:
    assert [target.alias for target in instances(TARGETS, tmp_path)] == ["orders-main", "orders-cache"]
    main, cache, local = instances(ROOT / "docs" / "configuration-file.md", tmp_path)
    assert dict(main.labels) == {"env": "production", "team": "orders"}
    assert (cache.password, cache.settings_group, dict(cache.overrides)["poll.interval"]) == (
        "two",
        "cache",
        10,
    )
    assert (local.addr, local.user, local.password) == ("unix:///run/redis/redis.sock", "", "one")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_targets_of_make_exist(page: Path) -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert declared is not None
    named = re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)|\(make ([a-z-]+)\)", page.read_text(), re.M)
    assert {first or second or third for first, second, third in named} <= set(declared[1].split())


@pytest.mark.parametrize("page", MADE)
def test_a_page_that_comes_from_the_tables_is_up_to_date(page: str) -> None:
    is_fresh = (ROOT / "docs" / f"{page}.md").read_text() == MADE[page]()
    assert is_fresh, f"docs/{page}.md is not what the tables say: run `make docs`"


def test_the_readme_is_one_screen_with_one_picture() -> None:
    text = README.read_text()
    pictures = re.findall(r'<img src="([^"]+)"|!\[[^]]*\]\(([^)]+)\)', text)
    assert pictures == [("docs/images/overview.png", "")]
    assert len(text.splitlines()) <= 60


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, new = set(), {README}
    while new:
        reached |= new
        links = {
            (page.parent / link).resolve()
            for page in new
            for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        }
        links |= {file for link in links if link.is_dir() for file in link.iterdir()}
        new = (links & set(PAGES)) - reached
    assert reached == set(PAGES)


def rows_of(page: Path, head: str) -> list[list[str]]:
    """The cells of the table that begins with this line."""
    lines = page.read_text().split(head + "\n")[1].splitlines()[1:]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in itertools.takewhile(lambda line: line.startswith("|"), lines)
    ]


def test_the_page_of_servers_names_every_kind_that_is_written_down() -> None:
    rows = rows_of(SERVERS, "| server or service | how we know | lacks or refuses | set |")
    named = [name for cells in rows for name in re.findall(r"`(\w+)`", cells[1])]
    assert sorted(named) == SERVER_KINDS
    assert [cells[0] for cells in rows if not re.search(r"`\w+`|server|records|documents", cells[1])] == []


def commands(page: Path) -> list[str]:
    """What a page lets its reader run of ours."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.S | re.M)
    return [line for block in blocks for line in block.splitlines() if "redis_exporter" in line]


@pytest.mark.parametrize("command", commands(SERVERS))
def test_commands_of_the_page_of_servers_are_accepted(command: str, certificates: Certificates) -> None:
    words = shlex.split(command.replace("/etc/redpoll/server-ca.pem", certificates.ca))
    environ = dict(word.split("=", 1) for word in words[: words.index("redis_exporter")])
    flags = words[words.index("redis_exporter") + 1 :]
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *([] if flags[0] == "acl" else ["check"]), *flags],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def purposes() -> dict[str, str]:
    return {cells[0].strip("`"): cells[1] for cells in rows_of(ARCHITECTURE, "| wing | purpose | imports |")}


def test_every_wing_is_in_the_table_of_wings() -> None:
    folders = {file.parent.name for file in (ROOT / "exporter").glob("*/__init__.py")}
    assert purposes().keys() == folders


@pytest.mark.parametrize("wing", purposes())
def test_a_wing_says_of_itself_what_the_table_says(wing: str) -> None:
    module = importlib.import_module(f"exporter.{wing}")
    assert module.__doc__ == purposes()[wing]


def test_the_imports_in_the_table_are_those_that_are_allowed() -> None:
    shown = {}
    for wing, _, imports in rows_of(ARCHITECTURE, "| wing | purpose | imports |"):
        names = set(re.findall(r"`(\w+)`", imports))
        everything = WINGS.keys() - {"__main__", "_fastparse", "_native", wing.strip("`")}
        shown[wing.strip("`")] = everything - names if imports.startswith("all but") else names
    assert shown == {wing: WINGS[wing] for wing in shown}


def test_the_modules_beside_the_wings_are_listed() -> None:
    listed = [cells[0] for cells in rows_of(ARCHITECTURE, "| module | purpose |")]
    assert listed == [f"`exporter/{name}.py`" for name in sorted(GROUND - {"__init__"})]


def named_in_code(page: Path) -> list[str]:
    """What a page names as `module.name` of ours."""
    wings = "|".join(sorted((WINGS.keys() | GROUND) - {"__main__", "__init__"}))
    return re.findall(rf"`((?:{wings})(?:\.[A-Za-z_]\w*)+)`", page.read_text())


@pytest.mark.parametrize("page", [ARCHITECTURE, GLOSSARY], ids=page_id)
def test_names_of_the_code_exist(page: Path) -> None:
    names = named_in_code(page)
    assert len(names) >= 20
    assert [name for name in names if not exists(f"exporter.{name}")] == []


def exists(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        if hasattr(importlib.import_module(module), attribute):
            return True
        importlib.import_module(name)
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_paths_of_the_repository_exist(page: Path) -> None:
    """Those of names in capitals stand for any, and one page is about files that the reader writes."""
    paths = re.findall(r"`((?:exporter|tests|docs|deploy|bench|\.github)/[\w./@-]*)`", page.read_text())
    missing = [path for path in paths if "NAME" not in path and not (ROOT / path).exists()]
    assert missing == [] or page.name == "adding-a-collector.md"


@pytest.mark.parametrize("page", [*WRITTEN, ROOT / "docs" / "options.md"], ids=page_id)
def test_series_exist(page: Path) -> None:
    known = set(re.findall(r"`(redis_\w+)`", (ROOT / "docs" / "metrics.md").read_text())) | OTHER_SERIES
    named = set(re.findall(r"`(redis_[a-z0-9_]+)(?:\{[^`]*\})?`", page.read_text()))
    assert [name for name in named - known if re.sub(r"_(bucket|sum|count)$", "", name) not in known] == []


def test_the_glossary_is_in_order_and_names_a_word_once() -> None:
    words = [cells[0].lower() for cells in rows_of(GLOSSARY, "| word | meaning | in the code |")]
    assert words == sorted(set(words))


def test_make_help_names_every_target() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert declared is not None
    help_text = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = re.findall(r"^  ((?:[a-z-]+ )+) +\S", help_text, re.M)
    assert {name for names in named for name in names.split()} == set(declared[1].split())


def test_hooks_use_tools_that_are_pinned() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}, "the others need the network"
    tools = {hook["entry"].split()[0] for hook in hooks if hook["language"] == "system"}
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements-test.lock").read_text(), re.M)
    assert tools == {f".venv/bin/{tool}" for tool in ("codespell", "mypy", "ruff")}
    assert {Path(tool).name for tool in tools} <= set(pinned)


def test_the_workflow_calls_ci_run() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["everything"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_words_are_spelt_as_codespell_knows_them() -> None:
    """As `make lint` does. Words that are meant are listed in pyproject.toml."""
    outcome = subprocess.run(
        [sys.executable, "-m", "codespell_lib"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (outcome.returncode, outcome.stdout) == (0, "")
