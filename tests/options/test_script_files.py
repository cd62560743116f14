"""The files of --script."""

from __future__ import annotations

from pathlib import Path

from exporter import files
from exporter.options.script_files import read_scripts
from exporter.options.values import ScriptFile


def test_each_has_its_name_and_its_text(tmp_path: Path) -> None:
    one, other = tmp_path / "one.lua", tmp_path / "other.lua"
    one.write_text("return 1")
    other.write_text("return 2")
    problems: list[str] = []
    assert read_scripts([str(one), str(other)], files.DEFAULT, problems) == (
        ScriptFile(str(one), b"return 1"),
        ScriptFile(str(other), b"return 2"),
    )
    assert problems == []


def test_names_that_look_alike_are_told_apart(tmp_path: Path) -> None:
    names = [f"{tmp_path}/\udcff.lua", f"{tmp_path}/\udcfe.lua"]
    for name in names:
        Path(name).write_text("return 1")
    shown = f"{tmp_path}/\ufffd.lua"
    assert [script.name for script in read_scripts(names, files.DEFAULT, [])] == [shown, f"{shown} (2)"]


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    problems: list[str] = []
    assert read_scripts([f"{tmp_path}/no.lua"], files.DEFAULT, problems) == ()
    assert problems == [f"{tmp_path}/no.lua cannot be read: No such file or directory"]
