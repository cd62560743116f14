"""A Debian package of the program that PyInstaller built: dpkg-deb packs a folder that is laid out here.

It needs no Python: only zlib, and the C library of the version that the program was linked with.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

NAME = "redpoll"
#: where the program is; /usr/bin has a link to it
LIBRARY = "usr/lib/redis_exporter"
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/redis_exporter",
    "zsh": "usr/share/zsh/vendor-completions/_redis_exporter",
    "fish": "usr/share/fish/vendor_completions.d/redis_exporter.fish",
}
#: of deploy/, for the package's folder of examples
EXAMPLES = (
    "systemd/redis_exporter.service.d/*.conf",
    "prometheus/*.yml",
    "prometheus/exporter/*.yml",
    "prometheus/rules/*.yml",
    "grafana/dashboards/*.json",
    "grafana/provisioning/*/*.yml",
)
CONTROL = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: redpoll <redpoll@localhost>
Installed-Size: {size_kib}
Depends: libc6 (>= {glibc}), passwd, zlib1g
Recommends: bash-completion
Section: net
Priority: optional
Description: Redis exporter for Prometheus
 It polls Redis servers in the background, each over one connection that stays
 open, and answers Prometheus from memory. The command is redis_exporter; its
 metrics, flags and paths are those of the Go exporter of the same name.
"""


def make_package(root: Path, folder: Path, program: Path, out: Path, version: str, epoch: int) -> Path:
    """Pack the `folder` of the program, what `root` has for packages, and what the `program` prints. The
    result is the package's file."""
    tree = folder.parent / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(folder, tree / LIBRARY, symlinks=True)
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "bin" / "redis_exporter").symlink_to(f"../../{LIBRARY}/redis_exporter")
    deploy = root / "deploy"
    for unit in sorted((deploy / "systemd").glob("*.s*")):
        if unit.is_file():
            write(tree / "lib" / "systemd" / "system" / unit.name, unit.read_bytes())
    write(
        tree / "etc" / "default" / "redis_exporter",
        (deploy / "systemd" / "redis_exporter.default").read_bytes(),
    )
    write(tree / "usr/share/man/man1/redis_exporter.1.gz", zipped(printed(program, "man")))
    for shell, place in COMPLETIONS.items():
        write(tree / place, printed(program, "completion", shell))
    documents = tree / "usr" / "share" / "doc" / NAME
    write(documents / "copyright", (deploy / "debian" / "copyright").read_bytes())
    write(documents / "changelog.gz", zipped((root / "CHANGELOG.md").read_bytes()))
    for example in EXAMPLES:
        for file in sorted(deploy.glob(example)):
            write(documents / "examples" / file.relative_to(deploy), file.read_bytes())
    return packed(tree, deploy / "debian", out, version, epoch)


def packed(tree: Path, scripts: Path, out: Path, version: str, epoch: int) -> Path:
    """The package of what is in the tree, with its control files."""
    size = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file() and not file.is_symlink())
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    control = CONTROL.format(
        name=NAME,
        version=version,
        architecture=architecture,
        size_kib=(size + 1023) // 1024,
        glibc=newest_glibc(tree / LIBRARY),
    )
    write(tree / "DEBIAN" / "control", control.encode())
    write(tree / "DEBIAN" / "conffiles", b"/etc/default/redis_exporter\n")
    for name in ("postinst", "prerm", "postrm"):
        write(tree / "DEBIAN" / name, (scripts / name).read_bytes(), mode=0o755)
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    file = out / f"{NAME}_{version}_{architecture}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z3", "--build", str(tree), str(file)]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environ, check=True)
    return file


def newest_glibc(folder: Path) -> str:
    """The newest version of the C library that a file in the folder asks for."""
    found = {
        tuple(map(int, version.split(b".")))
        for file in folder.rglob("*")
        if file.is_file()
        for version in re.findall(rb"GLIBC_(2\.\d+)", file.read_bytes())
    }
    return ".".join(map(str, max(found)))


def printed(program: Path, *arguments: str) -> bytes:
    return subprocess.run([program, *arguments], capture_output=True, check=True).stdout


def zipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def write(file: Path, data: bytes, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(mode)
