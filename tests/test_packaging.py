"""What is handed on: the sdist, the wheel, the command, and a build without a compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import exporter
from exporter import engine
from exporter.build_facts import version_text

ROOT = Path(__file__).parent.parent
SCRIPT = Path(sys.executable).with_name("redis_exporter")
BUILD_TIMEOUT_S = 600
#: what the status page is made of
PAGES = {
    str(path.relative_to(ROOT))
    for folder in ("templates", "assets")
    for path in (ROOT / "exporter/status" / folder).iterdir()
}


def run(command: Sequence[str | Path], cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run to the end, which is to be a good one."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "PYTHONPATH", "REDPOLL_"))
    }
    outcome = subprocess.run(
        command, cwd=cwd, env={**kept, **environ}, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome


def tracked(folder: Path) -> Path:
    """A copy of the source tree without what was built."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
            copy.chmod((ROOT / name).stat().st_mode)
    return folder


def with_one_module(folder: Path) -> Path:
    """The same with nothing to compile but one empty module, and one of Python that imports no other: all of
    them take a minute."""
    tracked(folder)
    for module in (folder / "exporter" / "_native").glob("*.pyx"):
        module.unlink()
    (folder / "exporter" / "_fastparse.pyx").write_text("")
    (folder / "exporter" / "__init__.pyi").unlink()
    (folder / "exporter" / "__init__.py").write_text('__version__ = "1"\n')
    (folder / "exporter" / "compiled_modules.txt").write_text("exporter/protocol/replication.py\n")
    return folder


def quick_compiler(folder: Path) -> Path:
    """A compiler that leaves out the optimisation, which takes most of its time."""
    compiler = folder / "cc"
    compiler.write_text('#!/bin/sh\nexec gcc "$@" -O0\n')
    compiler.chmod(0o755)
    return compiler


def empty_environment(folder: Path) -> Path:
    """The Python of a new environment that has pip and nothing else."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    "command", [[SCRIPT], [sys.executable, "-m", "exporter"]], ids=["redis_exporter", "python -m exporter"]
)
def test_the_command_tells_its_version_and_its_flags(command: Sequence[str | Path], tmp_path: Path) -> None:
    assert run([*command, "--version"], tmp_path).stdout == f"{version_text(engine.ENGINE)}\n"
    assert "--redis.addr ADDRESS" in run([*command, "--help"], tmp_path).stdout


def test_every_package_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {
        ".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "exporter").rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == folders


def test_the_lock_holds_what_is_asked_for() -> None:
    """Each requirement of the project and its tests is pinned, and its bounds allow the pin."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        Requirement(text)
        for text in (
            *project["project"]["dependencies"],
            *project["project"]["optional-dependencies"]["test"],
            *project["project"]["optional-dependencies"]["tools"],
            *project["project"]["optional-dependencies"]["fuzz"],
        )
    ]
    asked += [Requirement(text) for text in project["build-system"]["requires"]]
    pins = dict(
        line.split("==")
        for lock in ("requirements-test.lock", "requirements-tools.lock", "requirements-fuzz.lock")
        for line in (ROOT / lock).read_text().splitlines()
        if line and line[0] != "#"
    )
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    unmet = {
        str(each)
        for each in asked
        if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "0"), prereleases=True)
    }
    assert unmet == set()


def told_by_setup(folder: Path, **environ: str) -> dict[str, str]:
    """What a build in this folder knows of itself."""
    run([sys.executable, "setup.py", "--quiet", "--version"], folder, REDPOLL_BUILD="pure", **environ)
    return dict(json.loads((folder / "exporter" / "build.json").read_text()))


class TestBuildFacts:
    """setup.py asks git once; the program never does."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        """What setup.py needs, without git."""
        for name in (
            "setup.py",
            "pyproject.toml",
            ".gitignore",
            "README.md",
            "LICENSE",
            "exporter/__init__.py",
        ):
            copy = tmp_path / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
        return tmp_path / "source"

    @staticmethod
    def git(folder: Path, *arguments: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false")
        return run(["git", *who, *arguments], folder).stdout.strip()

    def test_come_from_git_and_leave_the_tree_clean(self, source: Path) -> None:
        self.git(source, "init", "--quiet", "--initial-branch=trunk")
        self.git(source, "add", ".")
        self.git(source, "commit", "--quiet", "--message=one")
        commit = self.git(source, "rev-parse", "HEAD")
        told = told_by_setup(source, SOURCE_DATE_EPOCH="1700000000")
        assert told == {"commit": commit, "branch": "trunk", "date": "20231114-22:13:20"}
        assert self.git(source, "status", "--porcelain", "exporter") == ""
        (source / "LICENSE").write_text("another")
        assert told_by_setup(source)["commit"] == f"{commit}-modified"

    def test_come_from_the_environment_where_there_is_no_git(self, source: Path) -> None:
        given = {"REDPOLL_COMMIT": "c0ffee", "REDPOLL_BRANCH": "b", "SOURCE_DATE_EPOCH": "0"}
        assert told_by_setup(source, **given) == {
            "commit": "c0ffee",
            "branch": "b",
            "date": "19700101-00:00:00",
        }
        assert told_by_setup(source)["commit"] == "c0ffee"  # as in an sdist, which brings the file

    def test_do_not_depend_on_a_build_that_was_cut_off(self, source: Path) -> None:
        (source / "exporter" / "build.json").write_text('{"commit": ')
        assert told_by_setup(source, REDPOLL_COMMIT="c0ffee")["commit"] == "c0ffee"

    def test_are_left_out_where_nobody_knows_them(self, source: Path) -> None:
        self.git(source.parent, "init", "--quiet")  # another repository, with this one in a folder
        assert told_by_setup(source).keys() == {"date"}


def test_an_unknown_build_is_refused(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "REDPOLL_BUILD": "fast"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 1
    assert (
        outcome.stderr
        == "REDPOLL_BUILD=fast: write one of release, profile, debug, sanitize, fuzz, coverage, pure\n"
    )


@pytest.mark.slow
@pytest.mark.timeout(BUILD_TIMEOUT_S)
class TestDistributions:
    @pytest.fixture(scope="class")
    @classmethod
    def dist(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A folder with the sdist, and the wheel that was built from it."""
        source = tracked(tmp_path_factory.mktemp("source"))
        facts = {"REDPOLL_COMMIT": "c0ffee", "REDPOLL_BRANCH": "b"}
        run([sys.executable, "-m", "build", "--no-isolation", "--sdist"], source, **facts)
        # the sdist tells the wheel's build what it was made of
        folder = source / "unpacked"
        shutil.unpack_archive(next((source / "dist").glob("*.tar.gz")), folder)
        command: list[str | Path] = [sys.executable, "-m", "build", "--no-isolation", "--wheel"]
        command += ["--outdir", source / "dist"]
        compiler = str(quick_compiler(folder))
        run(command, next(folder.glob("redpoll-*")), SOURCE_DATE_EPOCH="1700000000", CC=compiler)
        return source / "dist"

    def test_the_sdist_holds_sources_only(self, dist: Path) -> None:
        with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {
            "setup.py",
            "Makefile",
            "LICENSE",
            "exporter/_fastparse.pyx",
            "exporter/_native/buffers.pxd",
            "exporter/_fastparse.pyi",
        } <= names
        assert {"tests/conftest.py", "deploy/demo/demo.py", "requirements-test.lock"} <= names
        read_by_tests = {"CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yml", ".pre-commit-config.yaml"}
        assert {*read_by_tests, "exporter/__init__.pyi", "bench/virtual_time.c"} <= names
        assert names >= PAGES
        made = {name for name in names if name.endswith((".c", ".so", ".pyc", ".html")) or ".venv" in name}
        written = ("exporter/status/templates/", "bench/virtual_time.c", "tests/faults/world.c")
        assert {name for name in made if not name.startswith(written)} == set()

    def test_the_wheel_holds_the_package_only(self, dist: Path) -> None:
        with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
            names = archive.namelist()
        modules = {name for name in names if name.startswith("exporter/_fastparse.") and name.endswith(".so")}
        assert len(modules) == 1
        assert {
            "exporter/cli.py",
            "exporter/web/routes.py",
            "exporter/collectors/info.py",
            "exporter/library/replies.py",
            "exporter/__init__.pyi",
            "exporter/build.json",
            "exporter/py.typed",
            *PAGES,
        } <= set(names)
        assert {name.partition("/")[0] for name in names} == {
            "exporter",
            f"redpoll-{exporter.__version__}.dist-info",
        }
        assert [name for name in names if name.endswith((".c", ".pyc"))] == []

    def test_the_sdist_installs_in_an_empty_environment(self, dist: Path, tmp_path: Path) -> None:
        """With its build in isolation too: nothing of this environment is used."""
        python = empty_environment(tmp_path / "venv")
        sdist = next(dist.glob("*.tar.gz"))
        install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", sdist]
        run(install, tmp_path, SOURCE_DATE_EPOCH="1700000000", CC=str(quick_compiler(tmp_path)))
        version = run([python.with_name("redis_exporter"), "--version"], tmp_path).stdout
        assert version.startswith(
            f"redis_exporter, version {exporter.__version__} (branch: b, revision: c0ffee)\n"
        )
        assert "build date:       20231114-22:13:20\n" in version
        engine = run(
            [python, "-W", "error", "-c", "from exporter import engine; print(engine.ENGINE)"], tmp_path
        )
        assert engine.stdout == "compiled\n"
        assert "No broken requirements" in run([python, "-m", "pip", "check"], tmp_path).stdout


@pytest.mark.slow
@pytest.mark.timeout(BUILD_TIMEOUT_S)
class TestBuilds:
    def test_without_a_compiler_the_plain_engine_works_and_says_so_once(self, tmp_path: Path) -> None:
        source = tracked(tmp_path / "source")
        target = tmp_path / "installed"
        install = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            f"--target={target}",
            ".",
        ]
        run(install, source, REDPOLL_BUILD="pure", CC="/bin/false")
        assert list(target.rglob("*.so")) == []
        code = (
            "from exporter import engine; from exporter.app import run; print(engine.ENGINE, engine.__file__)"
        )
        # -S: the libraries of this environment without its link to the source tree
        path = f"{target}{os.pathsep}{sysconfig.get_path('platlib')}"
        outcome = run([sys.executable, "-S", "-c", code], tmp_path, PYTHONPATH=path, REDPOLL_ENGINE="")
        assert outcome.stdout == f"python {target / 'exporter' / 'engine' / '__init__.py'}\n"
        assert outcome.stderr.startswith("the compiled engine is not built")
        assert len(outcome.stderr.splitlines()) == 1
        assert "the compiled engine is not built" in outcome.stderr

    def test_a_compile_that_fails_is_no_build(self, tmp_path: Path) -> None:
        source = with_one_module(tmp_path / "source")
        outcome = subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--build-lib", tmp_path / "lib"],
            cwd=source,
            env={**os.environ, "CC": "/bin/false"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert outcome.returncode != 0
        assert "/bin/false" in outcome.stderr

    @pytest.mark.parametrize(
        ("build", "flags"),
        [
            ("release", "-O3"),
            ("profile", "-g"),
            ("debug", "-O0"),
            ("sanitize", "-fsanitize=address,undefined"),
            ("coverage", "-O0"),
        ],
    )
    def test_a_build_has_its_flags(self, build: str, flags: str, tmp_path: Path) -> None:
        """What the compiler is told; a script in its place writes it down and makes no code."""
        source = with_one_module(tmp_path / "source")
        compiler = tmp_path / "cc"
        compiler.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/told\nexit 1\n')
        compiler.chmod(0o755)
        subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--build-lib", tmp_path / "lib"],
            cwd=source,
            env={**os.environ, "CC": str(compiler), "REDPOLL_BUILD": build},
            capture_output=True,
            check=False,
        )
        told = (tmp_path / "told").read_text().split()
        assert flags in told
        assert "-Wall" in told
        assert ("-ffunction-sections" in told) == (build in ("release", "profile", "debug"))
        assert not {"-Ofast", "-ffast-math", "-march=native"} & set(told)

    def test_a_traced_function_makes_no_object_of_what_it_returns(self, tmp_path: Path) -> None:
        """Of a NULL that would end the process."""
        source = tracked(tmp_path / "source")
        subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--build-lib", tmp_path / "lib"],
            cwd=source,
            env={**os.environ, "CC": "/bin/false", "REDPOLL_BUILD": "coverage"},
            capture_output=True,
            check=False,
        )
        made = [file.read_text() for file in (source / "exporter").rglob("*.c")]
        assert len(made) == len(list((source / "exporter").rglob("*.pyx")))
        assert any("__Pyx_TraceReturnValue(Py_None," in text for text in made)
        assert not any("__Pyx_TraceReturnCValue(__pyx_r," in text for text in made)
