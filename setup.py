"""The extensions, in one of seven builds: REDPOLL_BUILD=release (default), profile, debug, sanitize, fuzz,
coverage or pure. And `exporter/build.json`: what the program says about its build."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

BUILDS = {
    "release": (["-O3", "-g0", "-DNDEBUG"], ["-s"], {}),  # without symbols: a fifth of the size
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
    # by clang: it tells libFuzzer which branches an input takes. The runtime of the sanitizers is not linked:
    # it is in a library that is loaded before Python
    "fuzz": (
        [
            "-O1",
            "-g",
            "-fsanitize=fuzzer-no-link,address,undefined",
            "-fno-sanitize-recover=undefined",
            "-fno-omit-frame-pointer",
        ],
        [],
        {},
    ),
    "coverage": (["-O0", "-UNDEBUG"], [], {"linetrace": True}),
    "pure": None,
}
#: builds that report each line of Cython as it runs
TRACED = ("debug", "coverage")
#: its lines are the paths of modules of Python that are compiled as they are
COMPILED_MODULES = Path("exporter/compiled_modules.txt")
#: builds that do so: sanitizers are for C that somebody wrote, and coverage looks at lines of Python
COMPILING = ("release", "profile", "debug")
#: the extension that holds them all
COMPILED_NAME = "exporter._compiled__mypyc"
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
if build == "fuzz":
    os.environ.setdefault("CC", "clang")

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


def compiled_python():
    """The extensions that mypyc makes of `COMPILED_MODULES`: one for each module, which leads to a shared
    one."""
    from mypyc.build import mypycify

    folder = f"build/mypyc-{build}"
    compile_args, link_args, _ = BUILDS[build]
    lines = COMPILED_MODULES.read_text().splitlines()
    # Packages that it imports need not be installed. What `make types` finds is no business of a build.
    options = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={folder}/cache"]
    modules = mypycify(
        [*options, *(line for line in lines if not line.startswith("#"))],
        group_name=COMPILED_NAME.removesuffix("__mypyc"),
        target_dir=folder,
    )
    # With -Os this C executes as many instructions as with -O2, is a third smaller and compiles in half the
    # time. Functions that nobody calls are left out. Warnings would be about C that nobody wrote.
    small_args = ["-Os" if each == "-O3" else each for each in compile_args]
    small_args += ["-ffunction-sections", "-fdata-sections", "-fvisibility=hidden", "-w"]
    for module in modules:
        module.extra_compile_args, module.extra_link_args = small_args, [*link_args, "-Wl,--gc-sections"]
    return modules


class BuildExtensions(build_ext):
    """Compiles modules of Python too, when extensions are built and not just named. On all cores."""

    def initialize_options(self):
        super().initialize_options()
        self.parallel = os.cpu_count()

    def finalize_options(self):
        found = self.distribution.ext_modules
        if build in COMPILING and COMPILED_NAME not in [each.name for each in found]:
            found += compiled_python()
        super().finalize_options()


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
setup(ext_modules=extensions, cmdclass={"build_ext": BuildExtensions} if extensions else {})
