"""The extensions, in one of four builds: REDPOLL_BUILD=release (default), debug, sanitize or pure."""

import os
import sys

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
    "pure": None,
}
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
    macros = [("CYTHON_TRACE_NOGIL", "1")] if build == "debug" else []
    modules = [
        Extension(
            f"exporter.{name}",
            [f"exporter/{name.replace('.', '/')}.pyx"],
            extra_compile_args=compile_args + warnings,
            extra_link_args=link_args,
            define_macros=macros,
        )
        for name in (
            "_native.buffers",
            "_native.tables",
            "_native.numbers",
            "_native.pages",
            "_native.clients",
            "_native.histograms",
            "_native.frames",
            "_fastparse",
        )
    ]
    # the generated C stays out of the source tree; another build never takes it up
    extensions = cythonize(
        modules, build_dir=f"build/cython-{build}", compiler_directives={**DIRECTIVES, **changed}
    )

setup(ext_modules=extensions)
