"""The keys of a configuration file that give user and password."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from exporter.targets.login_keys import Given, Login
from exporter.targets.password_command import PasswordCommand
from tests.targets.loading import one, problems_of, targets


class TestPasswordFile:
    @pytest.mark.parametrize("content", ["fig", "fig\n", "fig \r\n\n", "\ufefffig"])
    def test_its_text_without_blanks_at_the_end(self, file: Path, tmp_path: Path, content: str) -> None:
        (tmp_path / "secret").write_text(content)
        target = one(file, f"password_file: {tmp_path}/secret")
        assert (target.password, target.password_rule) == ("fig", "password_file of the entry")

    def test_its_name_may_have_a_variable(self, file: Path, tmp_path: Path) -> None:
        """As systemd gives the folder of credentials."""
        (tmp_path / "kiwi").write_text("fig")
        assert one(file, f'password_file: "{tmp_path}/${{REDIS_MASTER_PASSWORD}}"').password == "fig"

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("", "the file is empty"),
            ("one\ntwo", "the file holds no password: it has several lines"),
            ('{"redis://h": "kiwi"}', "the file holds no password: it is a JSON object"),
            ("\x01", "the file holds no password: it has control characters"),
        ],
    )
    def test_one_that_holds_no_password(self, file: Path, tmp_path: Path, content: str, why: str) -> None:
        (tmp_path / "secret").write_text(content)
        file.write_text(f"defaults: {{password_file: {tmp_path}/secret}}\nredis_instances: [addr: h]\n")
        [problem] = problems_of(file=file)
        assert problem.startswith(f"{file}, line 1: defaults: password_file: {tmp_path}/secret: {why}")
        assert "kiwi" not in problem

    def test_a_fifo_is_refused_at_once(self, file: Path, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        file.write_text(f"redis_instances: [{{addr: h, password_file: {tmp_path}/fifo}}]\n")
        [problem] = problems_of(file=file)
        assert problem.endswith("the file cannot be read (it is a FIFO, not a regular file)")


class TestPasswordCommand:
    def test_a_list_of_arguments(self, file: Path) -> None:
        target = one(file, "password_command: [vault, kv, get, -field=password, secret/redis]")
        command = PasswordCommand(("vault", "kv", "get", "-field=password", "secret/redis"), "vault")
        assert target.password_command == command
        assert (target.password, target.password_rule) == ("", "password_command of the entry")
        assert target.has_password
        assert command.ttl_s == math.inf

    def test_arguments_may_have_variables_which_no_text_shows(self, file: Path) -> None:
        target = one(
            file, 'password_command: ["${REDIS_MASTER_PASSWORD}", -t, "${REDIS_REPLICA_PASSWORD}", "$${x}"]'
        )
        command = target.password_command
        assert command is not None
        assert command.args == ("kiwi", "-t", "fig", "${x}")
        assert command.name == "${REDIS_MASTER_PASSWORD}"
        assert {"kiwi", "fig"} <= set(command.secrets)
        assert "kiwi" not in repr(target)

    def test_secrets_of_the_environment_are_known(self, file: Path) -> None:
        """What the command writes to stderr may hold them."""
        command = one(file, "password_command: [vault]").password_command
        assert command is not None
        assert {"kiwi", "fig", "plum"} <= set(command.secrets)

    def test_its_time_comes_from_the_nearest_place(self, file: Path) -> None:
        text = """
defaults: {password_command: [vault], password_ttl: 10m}
groups: {cache: {password_ttl: 5m}}
redis_instances:
  - {addr: one, password_ttl: 1m}
  - {addr: two, group: cache}
  - {addr: three}
  - {addr: four, password: "", }
"""
        commands = [target.password_command for target in targets(file, text)]
        assert [each and each.ttl_s for each in commands] == [60, 300, 600, None]


class TestLevels:
    TEXT = """
defaults: {user: d, password: kiwi}
groups:
  cache: {password_command: [vault]}
  file: {user: f, password_file: SECRET}
redis_instances:
  - {addr: a}
  - {addr: b, group: cache}
  - {addr: c, group: file}
  - {addr: d, group: cache, user: e, password: plum}
  - {addr: e, group: cache, user: "", password: ""}
  - {addr: "redis://u:p@f", group: cache}
  - {addr: "redis://u:@g", group: cache}
"""

    def test_each_place_replaces_whatever_gave_the_password_before(self, file: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("fig")
        found = targets(file, self.TEXT.replace("SECRET", f"{tmp_path}/secret"))
        vault = PasswordCommand(("vault",), "vault")
        assert [(each.user, each.password, each.password_command) for each in found] == [
            ("d", "kiwi", None),
            ("d", "", vault),
            ("f", "fig", None),
            ("e", "plum", None),
            ("", "", None),
            ("u", "p", None),
            ("u", "", vault),
        ]
        assert [each.login_text for each in found] == [
            "user: user of defaults, password: password of defaults",
            "user: user of defaults, password: password_command of group cache",
            "user: user of group file, password: password_file of group file",
            "user: user of the entry, password: password of the entry",
            "no user and no password",
            "user and password: the address itself",
            "user: the address itself, password: password_command of group cache",
        ]

    def test_a_place_that_gives_nothing_leaves_all_open(self) -> None:
        login = Login(Given("user of defaults", "u"), Given("password of defaults", "p"), 5.0)
        assert Login().over(login) == login
        assert login.over(Login()) == login


def test_a_file_that_many_entries_name_is_read_once(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("fig")
    entries = "".join(f"- {{addr: h{n}, password_file: {tmp_path}/secret}}\n" for n in range(3000))
    found = targets(file, f"redis_instances:\n{entries}")
    assert {target.password for target in found} == {"fig"}
