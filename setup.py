"""The extensions, in one of six builds: REDPOLL_BUILD=release (default), profile, debug, sanitize, coverage
or pure. And `exporter/build.json`: what the program says about its build."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from setuptools import Extension, setup

BUILDS = {
    "release": (["-O3", "-DNDEBUG"], ["-s"], {}),  # without symbols: a fifth of the size
    "profile": (["-O3", "-DNDEBUG", "-g"], [], {}),  # the same code, for perf and callgrind
    "debug": (
        ["-O0", "-g", "-UNDEBUG"],
        [],
        {"boundscheck": True, "wraparound": True, "linetrace": True, "initializedcheck": True},
    ),
    "sanitize": (
        [
            "-O1",
            "-g",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=undefined",
            "-fno-omit-frame-pointer",
        ],
        ["-fsanitize=address,undefined"],
        {},
    ),
    "coverage": (["-O0", "-UNDEBUG"], [], {"linetrace": True}),
    "pure": None,
}
#: builds that report each line of Cython as it runs
TRACED = ("debug", "coverage")
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}

build = os.environ.get("REDPOLL_BUILD", "release")
if build not in BUILDS:
    sys.exit(f"REDPOLL_BUILD={build}: write one of {', '.join(BUILDS)}")

extensions = []
if BUILDS[build] is not None:
    from Cython.Build import cythonize

    compile_args, link_args, changed = BUILDS[build]
    warnings = [
        "-Wall",
        "-Wextra",
        "-Wno-unused-function",
        "-Wno-unused-parameter",
        "-Wno-cast-function-type",
        "-Wno-missing-field-initializers",
    ]
    macros = [("CYTHON_TRACE_NOGIL", "1")] if build in TRACED else []
    modules = [
        Extension(
            f"exporter.{name}",
            [f"exporter/{name.replace('.', '/')}.pyx"],
            extra_compile_args=compile_args + warnings,
            extra_link_args=link_args,
            define_macros=macros,
        )
        for name in (
            *sorted(f"_native.{path.stem}" for path in Path("exporter/_native").glob("*.pyx")),
            "_fastparse",
        )
    ]
    # The generated C stays out of the source tree, so that no build takes up another's. Coverage looks for it
    # beside its source.
    folder = None if build == "coverage" else f"build/cython-{build}"
    extensions = cythonize(
        modules, build_dir=folder, force=folder is None, compiler_directives={**DIRECTIVES, **changed}
    )
    if build == "coverage":  # a tracer is given each C value that is returned: a NULL would end the process
        for source in (Path(extension.sources[0]) for extension in extensions):
            source.write_text(
                re.sub(
                    r"(?m)^( *)__Pyx_TraceReturnCValue\(\w+, \w+,",
                    r"\1__Pyx_TraceReturnValue(Py_None,",
                    source.read_text(),
                )
            )


def git(*arguments):
    """What git says about this folder; "" if there is no git, or this is a folder of another repository."""
    here = Path(__file__).parent
    try:
        asked = ["git", "-C", str(here), "rev-parse", "--show-toplevel"]
        top = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        if Path(top).resolve() != here.resolve():
            return ""
        asked[3:] = arguments
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def facts():
    """Commit, branch and date of this build: from the environment, else from git, else from the file that an
    sdist brings."""
    file = Path(__file__).parent / "exporter" / "build.json"
    try:
        before = json.loads(file.read_text())
    except (OSError, ValueError):  # there is none, or a build was cut off while it wrote one
        before = {}
    commit = git("rev-parse", "HEAD")
    if commit and git("status", "--porcelain", "--untracked-files=no"):
        commit += "-modified"
    if commit:
        before = {}
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = time.gmtime(int(epoch) if epoch else None)
    found = {
        "commit": os.environ.get("REDPOLL_COMMIT") or commit or before.get("commit"),
        "branch": os.environ.get("REDPOLL_BRANCH") or git("branch", "--show-current") or before.get("branch"),
        "date": time.strftime("%Y%m%d-%H:%M:%S", moment),
    }
    file.write_text(json.dumps({name: value for name, value in found.items() if value}) + "\n")


facts()
setup(ext_modules=extensions)
