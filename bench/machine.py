"""On what was measured: the machine, and the revisions of all that took part."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator

from bench.setup import Setup
from exporter import __version__

ROOT = pathlib.Path(__file__).parent.parent
#: program → how to ask it
OTHERS = {"nginx": "-v", "redis-server": "--version", "prometheus": "--version"}


def machine() -> str:
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{_processor()}, {os.cpu_count()} cores, {kernel}, {platform.machine()}"


def revisions(setup: Setup) -> str:
    """Of redpoll, Python, the rivals and the servers, as far as they are installed."""
    found = [
        f"redpoll {__version__} ({_commit(ROOT)})",
        f"{platform.python_implementation()} {platform.python_version()}",
    ]
    if setup.before is not None:
        found.append(f"{setup.before.name} ({_commit(setup.before.folder)})")
    return ", ".join([*found, *(rival.name for rival in setup.rivals), *_others()])


def _others() -> Iterator[str]:
    for program, flag in OTHERS.items():
        path = shutil.which(program)
        if path is not None:
            said = _output(path, flag)
            version = re.search(r"\d+(\.\d+)+", said)
            yield f"{pathlib.Path(path).name} {version[0] if version else '(version unknown)'}"


def _commit(folder: pathlib.Path) -> str:
    asked = ("git", "-C", str(folder), "describe", "--always", "--dirty")
    said = _output(*asked).strip() if shutil.which("git") else ""
    return said if re.fullmatch(r"[\w.-]+", said) else "no commit"


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def _processor() -> str:
    try:
        [name, *_] = re.findall(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    except (OSError, ValueError):
        return platform.processor() or "a processor of no name"
    return str(name)
