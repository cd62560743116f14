"""The extensions, in one of five builds: REDPOLL_BUILD=release (default), debug, sanitize, coverage or
pure."""

import os
import re
import sys
from pathlib import Path

from setuptools import Extension, setup

BUILDS = {
    "release": (["-O3", "-DNDEBUG"], [], {}),
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

setup(ext_modules=extensions)
