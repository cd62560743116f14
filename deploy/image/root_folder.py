"""Makes the root folders of the images, in the build stage, with the Python that they shall have:

    python3 root_folder.py SITE ROOT BASH_ROOT

SITE is a folder with the exporter and the packages that it needs. ROOT gets Python, SITE, the shared
libraries that they load, and the few files that a process expects in /etc: no shell, no package manager, no
compiler.
BASH_ROOT gets bash with its libraries, for the image that has it.
"""

import compileall
import py_compile
import re
import shutil
import site
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

USER = 65534
#: of the standard library: tests, windows, and what installs packages
LEFT_OUT = shutil.ignore_patterns(
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "ensurepip", "venv", "lib2to3"),
    *("pydoc_data", "config-*", "__pycache__", "site-packages", "dist-packages", "sqlite3", "curses"),
    *("_tkinter.*", "_test*.so", "_ctypes_test*", "readline.*", "_sqlite3.*", "_curses*", "xx*.so"),
    *("_dbm.*", "_gdbm.*", "nis.*", "ossaudiodev.*"),
)
#: of the packages: sources of compiled modules, and commands
NOT_RUN = shutil.ignore_patterns(
    "__pycache__", "tests", "*.pyx", "*.pxd", "*.pyi", "*.c", "*.h", "bin", "include", "share"
)
#: folders of / that are links where /usr has everything
LINKS = ("bin", "sbin", "lib", "lib64")
COMMAND = """#!{python} -I
import gc
import sys

gc.set_threshold(200_000)  # until the imports are done: they leave no garbage, and CPU may be scarce

from exporter.__main__ import main

sys.exit(main())
"""
FILES = {
    "etc/passwd": f"nobody:x:{USER}:{USER}:nobody:/:/redis_exporter\n",
    "etc/group": f"nogroup:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
LIBRARY_PLACES = "/etc/ld.so.cache"


def put(file: str | Path, root: Path) -> None:
    """Copy a file to its own place below `root`, in the folder that it really is in."""
    given = Path(file)
    place = root / given.parent.resolve().relative_to("/") / given.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(given, place)


def libraries(programs: Iterable[Path]) -> Iterator[str]:
    """The shared libraries that they load, and the loader itself."""
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        assert "not found" not in listed, f"{program}:\n{listed}"
        yield from re.findall(r"(/\S+) \(0x", listed)


def put_authorities(root: Path) -> None:
    """The certificate authorities of the base, each under the name by which OpenSSL looks for it. To read one
    file of all of them at each start would take CPU."""
    folder = Path(ssl.get_default_verify_paths().openssl_capath)
    for file in sorted(folder.glob("*")):
        if re.fullmatch(r"[0-9a-f]{8}\.\d+", file.name):
            put(file, root)
    link = root / folder.relative_to("/")
    if folder.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder.resolve())


def make_root(packages: Path, root: Path) -> None:
    python = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    own = Path(site.getsitepackages()[0])
    for name in LINKS:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    put(python, root)
    for source, place, left_out in ((standard, standard, LEFT_OUT), (packages, own, NOT_RUN)):
        shutil.copytree(
            source,
            root / place.relative_to("/"),
            ignore=left_out,
            ignore_dangling_symlinks=True,
            dirs_exist_ok=True,
        )
    compiled = [path for path in root.rglob("*.so*") if path.is_file()]
    if shutil.which("strip"):
        for path in compiled:
            subprocess.run(["strip", "--strip-unneeded", path], check=True)
    for library in dict.fromkeys(libraries([python, *compiled])):
        put(library, root)
    put(LIBRARY_PLACES, root)
    put_authorities(root)
    for name, text in FILES.items():
        (root / name).write_text(text)
    command = root / "redis_exporter"
    command.write_text(COMMAND.format(python=python))
    command.chmod(0o755)
    (root / "usr/bin/redis_exporter").symlink_to("/redis_exporter")
    temporary = root / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    # the root may be read-only later, and little CPU is there to compile at each start
    compileall.compile_dir(
        root,
        quiet=1,
        stripdir=str(root),
        prependdir="/",
        maxlevels=20,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def make_bash_root(root: Path) -> None:
    bash = Path(str(shutil.which("bash"))).resolve()
    for file in dict.fromkeys([str(bash), *libraries([bash])]):
        put(file, root)
    (root / "usr/bin/sh").symlink_to("bash")


if __name__ == "__main__":
    make_root(Path(sys.argv[1]), Path(sys.argv[2]))
    make_bash_root(Path(sys.argv[3]))
