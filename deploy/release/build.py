"""`make release`: builds what is handed out from the newest commit, into dist/.

    sdist, wheel       for pip, pipx and uv; the wheel is for manylinux_2_17 and newer
    redis_exporter-…   one file that needs no Python
    redpoll_….deb      the same as a folder, with units, defaults, manual page and completion
    redpoll-….cdx.json which libraries are in them (CycloneDX)
    SHA256SUMS         of all these

Two builds of one commit on one machine give the same bytes: every time in them is the commit's, and nothing
comes from the work tree. `--out DIR` writes elsewhere, `--only sdist,wheel,binary,deb,sbom` leaves the rest
out.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # run as a file

from debian import make_package

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
#: the oldest glibc that the wheel works with
PLATFORM = f"manylinux_2_17_{os.uname().machine}"
ARTEFACTS = ("sdist", "wheel", "binary", "deb", "sbom")


class Release:
    """The builds of one commit. `work` is emptied first; the results go to `out`."""

    def __init__(self, work: Path, out: Path) -> None:
        self.work, self.out = work, out
        for folder in (work, out):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.source, self.tree, self.site = work / "source", work / "tree", work / "site"
        self.project = self.source / "pyproject.toml"
        self.epoch = int(git("log", "-1", "--format=%ct"))
        self.environ = {
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(self.site),
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "REDPOLL_BUILD": "release",
            "REDPOLL_COMMIT": git("rev-parse", "HEAD"),
            "REDPOLL_BRANCH": os.environ.get("REDPOLL_BRANCH") or git("branch", "--show-current") or "none",
            "CFLAGS": f"-ffile-prefix-map={work}=.",
        }
        os.umask(0o022)
        self.version = ""

    def run(self, *command: str | Path, cwd: Path | None = None) -> None:
        """Run a command; its output is shown only if it fails."""
        done = subprocess.run(
            command,
            cwd=cwd or self.work,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            sys.stdout.write(done.stdout.decode("utf-8", "replace"))
            sys.exit(f"{Path(command[0]).name} failed with {done.returncode}")

    def unpack(self, archive: Path, folder: Path) -> None:
        """By tar: Debian 12 has Python 3.11.2, which lacks the filters of tarfile."""
        folder.mkdir()
        self.run("tar", "--extract", "--no-same-owner", f"--directory={folder}", f"--file={archive}")

    def make_sdist(self) -> Path:
        """The sdist of the commit, with its times and nobody's name."""
        committed = self.work / "source.tar"
        git("archive", "--format=tar", f"--output={committed}", "HEAD")
        self.unpack(committed, self.source)
        self.run(sys.executable, "-m", "build", "--no-isolation", "--sdist", cwd=self.source)
        [made] = (self.source / "dist").glob("*.tar.gz")
        sdist = self.out / made.name
        sdist.write_bytes(repacked(made.read_bytes(), self.epoch))
        self.version = made.name.removesuffix(".tar.gz").partition("-")[2]
        return sdist

    def make_wheel(self, sdist: Path) -> Path:
        """The wheel that the sdist gives, for every Linux with a glibc that is not older."""
        self.unpack(sdist, self.tree)
        [folder] = self.tree.iterdir()
        self.run(
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--wheel",
            "--outdir",
            self.work / "built",
            cwd=folder,
        )
        [built] = (self.work / "built").glob("*.whl")
        self.run(BIN / "auditwheel", "repair", "--strip", "--plat", PLATFORM, "--wheel-dir", self.out, built)
        [wheel] = self.out.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.site)
        return wheel

    def make_binaries(self) -> tuple[Path, Path]:
        """The one file, and the folder with the same program."""
        here = self.source / "deploy" / "binary"
        built = self.work / "binary"
        for name in ("entry.py", "redis_exporter.spec"):  # PyInstaller writes where its files are
            built.mkdir(exist_ok=True)
            shutil.copy(here / name, built / name)
        self.environ["REDPOLL_LIBRARIES"] = " ".join(sorted(libraries(self.project)))
        self.run(
            *(BIN / "pyinstaller", "--noconfirm", "--clean", "--log-level=WARN"),
            *("--distpath", built / "dist", "--workpath", built / "work", built / "redis_exporter.spec"),
        )
        one_file = self.out / f"redis_exporter-{self.version}-linux-{os.uname().machine}"
        shutil.copy(built / "dist" / "redis_exporter", one_file)
        return one_file, built / "dist" / "folder"

    def make_deb(self, one_file: Path, folder: Path) -> Path:
        return make_package(self.source, folder, one_file, self.out, self.version, self.epoch)

    def make_sbom(self) -> Path:
        """Every library that is installed with the exporter, with its version here."""
        requirements = self.work / "requirements.txt"
        requirements.write_text(
            "".join(f"{name}=={metadata.version(name)}\n" for name in sorted(libraries(self.project)))
        )
        sbom = self.out / f"redpoll-{self.version}.cdx.json"
        self.run(
            *(BIN / "cyclonedx-py", "requirements", requirements, "--pyproject", self.project),
            *("--output-reproducible", "--output-format", "JSON", "--output-file", sbom),
        )
        found = json.loads(sbom.read_text())
        found["metadata"]["component"]["version"] = self.version
        sbom.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
        return sbom

    def write_sums(self) -> None:
        lines = [
            f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
            for file in sorted(self.out.iterdir())
            if file.name != "SHA256SUMS"
        ]
        (self.out / "SHA256SUMS").write_text("".join(lines))


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repacked(archive: bytes, epoch: int) -> bytes:
    """The same files in an archive with one time, one owner and one order."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=epoch) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.pax_headers = epoch, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return packed.getvalue()


def libraries(project: Path) -> set[str]:
    """The names of all libraries that run with the exporter, by what a pyproject.toml asks for and what is
    installed here."""
    from packaging.requirements import Requirement

    waiting: list[str] = tomllib.loads(project.read_text())["project"]["dependencies"]
    found: set[str] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            name = metadata.metadata(requirement.name)["Name"]
            if name not in found:
                found.add(name)
                waiting += metadata.requires(name) or ()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--only", default=",".join(ARTEFACTS))
    given = parser.parse_args()
    wanted = set(given.only.split(","))
    if wanted - set(ARTEFACTS):
        parser.error(f"--only={given.only}: write some of {', '.join(ARTEFACTS)}")
    release = Release(given.work.resolve(), given.out.resolve())
    sdist = release.make_sdist()
    wheel = release.make_wheel(sdist) if wanted & {"wheel", "binary", "deb"} else None
    if wanted & {"binary", "deb"}:
        one_file, folder = release.make_binaries()
        if "deb" in wanted:
            release.make_deb(one_file, folder)
        if "binary" not in wanted:
            one_file.unlink()
    if wheel is not None and "wheel" not in wanted:
        wheel.unlink()
    if "sbom" in wanted:
        release.make_sbom()
    if "sdist" not in wanted:
        sdist.unlink()
    release.write_sums()
    for file in sorted(release.out.iterdir()):
        print(f"{file.stat().st_size:>12,}  {file.name}")


if __name__ == "__main__":
    main()
