"""Every way of giving a target its user and password, with real servers: wrong, right, rotated and expired
ones."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers import RedisServer, wait_until
from tests.system.conftest import Exporter, ExporterFactory
from tests.watch_harness import RedisFactory

#: how a password entry names a target, by the user of the target
ENTRIES = {
    "address": "redis://HOST:PORT",
    "address-of-user": "redis://address-of-user@HOST:PORT",
    "place": "HOST:PORT",
    "host": "HOST",
    "pattern": "127.0.0.1?:PORT",
    "network": "127.0.0.16/28",
}
#: settings of an entry, by its user
SETTINGS = {
    "text": "password: PASSWORD",
    "file": "password_file: FOLDER/file",
    "placeholder": 'password: "${file:FOLDER/placeholder}"',
    "command": "password_command: [cat, FOLDER/command]",
    "group-file": "group: group-file",
    "group-command": "group: group-command",
    "group-text": "group: group-text",
    "defaults": "labels: {a: b}",
}
HOSTS = {user: f"127.0.0.{number}" for number, user in enumerate((*ENTRIES, *SETTINGS), 2)} | {
    "pattern": "127.0.0.16",
    "network": "127.0.0.20",
}
OF_COMMANDS = {"command", "group-command"}
CONFIG = """
defaults: {password_file: FOLDER/defaults}
groups:
  group-file: {password_file: FOLDER/group-file}
  group-command: {password_command: [sh, -c, "exec cat FOLDER/group-command"], password_ttl: 1h}
  group-text: {password: PASSWORD}
redis_instances:
"""


class Fleet:
    """One server with a user for each way of giving a password, and the files that give them."""

    def __init__(self, server: RedisServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.addrs = {user: f"redis://{host}:{server.port}" for user, host in HOSTS.items()}

    def expect(self, password: str) -> None:
        """Let the server take this password of every user, and nobody stay connected."""
        for user in HOSTS:
            self.server.ask("ACL", "SETUSER", user, "on", "resetpass", f">{user}-{password}", "~*", "+@all")
        self.server.ask("CLIENT", "KILL", "TYPE", "normal")

    def give(self, password: str) -> None:
        """Write all files."""
        entries = {self._fill(key, user, password): f"{user}-{password}" for user, key in ENTRIES.items()}
        self._write("passwords.json", json.dumps(entries))
        config = self._fill(CONFIG, "group-text", password)
        for user, settings in SETTINGS.items():
            self._write(user, f"{user}-{password}\n")
            addr = self.addrs[user]
            config += f"- {{addr: '{addr}', user: {user}, {self._fill(settings, user, password)}}}\n"
        self._write("config.yml", config)

    def _write(self, name: str, text: str) -> None:
        new = self.folder / "new"
        new.write_text(text)
        new.rename(self.folder / name)

    def _fill(self, text: str, user: str, password: str) -> str:
        values = {
            "HOST": HOSTS[user],
            "PORT": str(self.server.port),
            "FOLDER": str(self.folder),
            "PASSWORD": f"{user}-{password}",
        }
        return re.sub("|".join(values), lambda match: values[match[0]], text)

    @property
    def flags(self) -> list[str]:
        addrs = ",".join(self.addrs[user].replace("//", f"//{user}:@") for user in ENTRIES)
        names = {"config.file": "config.yml", "redis.password-file": "passwords.json"}
        return [f"--redis.addr={addrs}", *(f"--{flag}={self.folder}/{name}" for flag, name in names.items())]

    def states(self, exporter: Exporter) -> Mapping[str, float]:
        values = exporter.values("redis_up")
        return {user: values[addr] for user, addr in self.addrs.items()}


@pytest.fixture
def fleet(redis_server: RedisFactory, tmp_path: Path) -> Fleet:
    return Fleet(redis_server("--bind", "127.0.0.1", *HOSTS.values()), tmp_path)


def lines(exporter: Exporter, msg: str) -> list[dict[str, str]]:
    """The complete lines with this message."""
    found = [json.loads(line) for line in exporter.log.read_text().split("\n")[:-1]]
    return [line for line in found if line["msg"] == msg]


def test_every_way_with_wrong_right_rotated_and_expired_passwords(
    fleet: Fleet, exporter: ExporterFactory
) -> None:
    fleet.expect("kiwi")
    fleet.give("wrong")
    program = exporter(*fleet.flags, "--log-format=json", "--verbose")
    assert fleet.states(program) == dict.fromkeys(HOSTS, 0)
    wait_until(lambda: len(lines(program, "the target is down")) == len(HOSTS), "a line for each")
    down = {line["addr"]: line for line in lines(program, "the target is down")}
    assert {line["reason"] for line in down.values()} == {"auth"}
    logins = {user: down[addr]["login"].rpartition("password: ")[2] for user, addr in fleet.addrs.items()}
    port = fleet.server.port
    assert logins == {
        "address": f"entry redis://127.0.0.2:{port} in --redis.password-file",
        "address-of-user": f"entry redis://127.0.0.3:{port} of its user in --redis.password-file",
        "place": f"entry 127.0.0.4:{port} in --redis.password-file",
        "host": "entry 127.0.0.5 in --redis.password-file",
        "pattern": f"entry 127.0.0.1?:{port} in --redis.password-file",
        "network": "entry 127.0.0.16/28 in --redis.password-file",
        "text": "password of the entry",
        "file": "password_file of the entry",
        "placeholder": "password of the entry",
        "command": "password_command of the entry",
        "group-file": "password_file of group group-file",
        "group-command": "password_command of group group-command",
        "group-text": "password of group group-text",
        "defaults": "password_file of defaults",
    }

    fleet.give("kiwi")
    wait_until(lambda: {user for user, up in fleet.states(program).items() if up} == OF_COMMANDS, "commands")
    program.get("/-/reload")
    wait_until(lambda: all(fleet.states(program).values()), "all that a reload reads")

    fleet.expect("fig")  # each server refuses first, then the new password comes
    wait_until(lambda: not any(fleet.states(program).values()), "the refusals")
    fleet.give("fig")
    os.kill(program.process.pid, signal.SIGHUP)
    wait_until(lambda: all(fleet.states(program).values()), "the rotated passwords")

    for name in ("file", "placeholder", "group-file", "defaults", "passwords.json"):
        (fleet.folder / name).write_text("")
        with pytest.raises(urllib.error.HTTPError) as refused:
            program.get("/-/reload")
        answer = refused.value.read().decode()
        assert (refused.value.code, str(fleet.folder / name) in answer) == (500, True)
        (fleet.folder / name).unlink()
        with pytest.raises(urllib.error.HTTPError):
            program.get("/-/reload")
        fleet.give("fig")
    wait_until(lambda: all(fleet.states(program).values()), "all stay up")
    pages = (program.get(), program.get("/"), program.log.read_text())
    assert not [word for page in pages for word in ("-kiwi", "-fig", "-wrong") if word in page]


def test_passwords_that_change_before_the_server_does_cost_nothing(
    fleet: Fleet, exporter: ExporterFactory
) -> None:
    """A connection that works needs no password."""
    fleet.expect("kiwi")
    fleet.give("kiwi")
    program = exporter(*fleet.flags, "--log-format=json")
    wait_until(lambda: all(fleet.states(program).values()), "all are up")
    polls = program.values("redis_exporter_target_polls_total", lane="fast")
    for user in HOSTS:  # both are taken for a while
        fleet.server.ask("ACL", "SETUSER", user, f">{user}-fig")
    fleet.give("fig")
    assert "14 changed" not in program.get("/-/reload")  # commands and their targets stay as they are
    wait_until(
        lambda: all(
            count > polls[addr] + 1
            for addr, count in program.values("redis_exporter_target_polls_total", lane="fast").items()
        ),
        "polls after the reload",
    )
    assert "auth" not in {line["reason"] for line in lines(program, "the target is down")}
    wait_until(lambda: all(fleet.states(program).values()), "all stay up")


def test_a_mounted_secret_that_changes_is_read_by_itself(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    """As Kubernetes mounts it: the file is a link into a folder, and another folder takes its place."""
    server = redis_server()
    server.ask("ACL", "SETUSER", "watcher", "on", ">kiwi-plum", "~*", "+@all")
    mounted = tmp_path / "mounted"
    for version, password in (("..1", "kiwi-plum"), ("..2", "fig-plum")):
        (mounted / version).mkdir(parents=True)
        (mounted / version / "password").write_text(password)
    (mounted / "..data").symlink_to("..1")
    (mounted / "password").symlink_to("..data/password")
    config = tmp_path / "config.yml"
    addr = f"redis://127.0.0.1:{server.port}"
    config.write_text(
        f"redis_instances: [{{addr: '{addr}', user: watcher, password_file: {mounted}/password}}]\n"
    )
    program = exporter(f"--config.file={config}", "--watch", "--connection-max-age=1s")
    wait_until(lambda: program.values("redis_up") == {addr: 1}, "the login")
    server.ask("ACL", "SETUSER", "watcher", "resetpass", ">fig-plum")
    wait_until(lambda: program.values("redis_up") == {addr: 0}, "the refusal")
    (mounted / "..new").symlink_to("..2")
    (mounted / "..new").rename(mounted / "..data")
    wait_until(lambda: program.values("redis_up") == {addr: 1}, "the new password")


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ('[sh, -c, "echo kiwi-plum >&2; exit 7"]', "ended with exit status 7"),
        ("[/no/such/program, kiwi-plum]", "cannot be started: No such file or directory"),
        ("[sleep, '60']", "took longer than 5 s, and was stopped"),
        ("['yes', kiwi-plum]", "printed more than 262144 bytes, and was stopped"),
        ("['true']", "printed no password: it is empty"),
    ],
)
def test_a_command_that_gives_no_password(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path, command: str, fault: str
) -> None:
    server, other = redis_server(), redis_server()
    addrs = [f"redis://127.0.0.1:{each.port}" for each in (server, other)]
    config = tmp_path / "config.yml"
    config.write_text(
        f"redis_instances:\n- {{addr: '{addrs[0]}', password_command: {command}}}\n- addr: '{addrs[1]}'\n"
    )
    program = exporter(f"--config.file={config}", "--log-format=json")
    wait_until(lambda: program.values("redis_up") == {addrs[0]: 0, addrs[1]: 1}, "both")
    wait_until(lambda: lines(program, "the target is down"), "the log")
    [down] = lines(program, "the target is down")
    name = command.lstrip("['").split(",")[0].rstrip("]'")
    assert down["err"] == f"127.0.0.1:{server.port}: password_command {name} {fault}"
    assert (down["reason"], down["login"]) == ("auth", "no user, password: password_command of the entry")
    wait_until(lambda: lines(program, f"password_command {name} {fault}"), "a line about the command")
    assert program.values("redis_exporter_target_poll_failures_total").keys() == {addrs[0]}


def test_a_command_that_hangs_ends_with_the_program(
    redis_server: RedisFactory, exporter: ExporterFactory, tmp_path: Path
) -> None:
    pids, config = tmp_path / "pids", tmp_path / "config.yml"
    config.write_text(
        f"redis_instances:\n- addr: 127.0.0.1:{redis_server().port}\n"
        f'  password_command: [sh, -c, "echo $$ >>{pids}; sleep 600 & echo $! >>{pids}; wait"]\n'
    )
    program = exporter(f"--config.file={config}")

    def runs(pid: str) -> bool:
        try:
            return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def last_two() -> list[str]:
        return pids.read_text().split()[-2:]

    # the first has had its time before the exporter is ready
    wait_until(lambda: [runs(pid) for pid in last_two()] == [True, True], "a further command")
    limit = "took longer than"
    before = program.log.read_text().count(limit)
    assert program.stop() == 0
    assert program.log.read_text().count(limit) == before
    wait_until(lambda: not any(runs(pid) for pid in pids.read_text().split()), "the end of the commands")


def test_a_server_that_gets_a_password_and_one_that_has_none(
    redis_server: RedisFactory, exporter: ExporterFactory
) -> None:
    server = redis_server()
    addr = f"redis://127.0.0.1:{server.port}"
    program = exporter(f"--redis.addr={addr}", "--log-format=json", environ={"REDIS_PASSWORD": "kiwi-plum"})
    wait_until(lambda: program.values("redis_up") == {addr: 1}, "the target is up")
    program.wait_for_log("the server has no password set: the configured one is not used")
    server.ask("CONFIG", "SET", "requirepass", "kiwi-plum")
    server.stop()
    server.args = ("--requirepass", "kiwi-plum")
    server.start()
    wait_until(lambda: program.values("redis_up") == {addr: 1}, "the login")
    bare = exporter(f"--redis.addr={addr}", "--log-format=json")
    assert bare.values("redis_up") == {addr: 0}
    wait_until(lambda: lines(bare, "the target is down"), "the log")
    [down] = lines(bare, "the target is down")
    assert (down["reason"], down["login"]) == ("auth", "no user and no password")
    assert down["err"].endswith("the server wants a password: configure one")
