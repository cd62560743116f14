"""What the entrance asks for follows its files while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter import pem_files
from exporter.errors import ConfigError
from exporter.web.auth import auth_of
from exporter.web.entrance import Entrance, EntranceRules
from exporter.web.tls import ServerContext, tls_of_flags
from tests.servers import PATIENCE_S, Certificates
from tests.store_fixture import until


class Note:
    """A file with the name of the only user; without a text it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "web.yml"
        self.write("ann")

    def write(self, name: str) -> None:
        self.path.write_text(name)

    def read(self) -> EntranceRules:
        name = self.path.read_text()
        if not name:
            raise ConfigError("web.yml: no name")
        return EntranceRules(auth_of(name, "pw"), notes=(name,))


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Note:
    monkeypatch.setattr(pem_files, "LOOK_EVERY_S", 0.0)
    return Note(tmp_path)


def test_without_anything_it_lets_everybody_in() -> None:
    entrance = Entrance()
    assert not entrance.is_guarded
    assert entrance.newest == EntranceRules()


def test_with_users_or_with_a_file_it_is_guarded(note: Note) -> None:
    assert Entrance(lambda: EntranceRules(auth_of("a", "b"))).is_guarded
    assert Entrance(EntranceRules, [str(note.path)]).is_guarded


async def test_a_look_finds_what_has_changed(note: Note) -> None:
    entrance = Entrance(note.read, [str(note.path)])
    note.write("a longer name")
    entrance.look()
    await until(lambda: entrance.newest.notes == ("a longer name",))


async def test_a_file_that_cannot_be_used_changes_nothing_and_a_reload_says_so(note: Note) -> None:
    entrance = Entrance(note.read, [str(note.path)])
    note.write("")
    await entrance.freshen(PATIENCE_S)
    assert entrance.newest.notes == ("ann",)
    with pytest.raises(ConfigError, match="no name"):
        entrance.renew()
    note.write("bob")
    entrance.renew()
    assert entrance.newest.notes == ("bob",)


async def test_it_keeps_the_certificates_fresh_too(certificates: Certificates) -> None:
    tls = ServerContext(tls_of_flags(certificates.server, certificates.server_key))
    entrance = Entrance(lambda: EntranceRules(tls=tls))
    await entrance.freshen_all()
    entrance.renew()
    assert entrance.context is tls.context
