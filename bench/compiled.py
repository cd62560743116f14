"""C that the benches compile for themselves."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sysconfig


def compile_library(source: str, folder: pathlib.Path, name: str) -> pathlib.Path:
    """Compile C into a shared library in `folder`; its path. CalledProcessError if that fails."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    compiler = compiler if shutil.which(compiler) else "cc"
    written = folder / f"{name}.c"
    written.write_text(source)
    library = written.with_suffix(".so")
    command = [compiler, "-O3", "-shared", "-fPIC", "-o", str(library), str(written)]
    subprocess.run(command, check=True)
    return library
