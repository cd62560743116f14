"""A field of a dataclass is the row of an option."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.options.option import Option, flag, group, options_in
from exporter.options.values import ADDRESSES, COUNT, CREDENTIAL, TEXT


@dataclass(frozen=True)
class Door:
    width: int = flag("door.width", COUNT, "7", "Width.", per_target=True)
    key: str = flag("door-key", CREDENTIAL, "kiwi", "Key.", secret=True, former=("lock-key",))


@dataclass(frozen=True)
class Street:
    address: tuple[str, ...] = flag("a", ADDRESSES, "redis://:fig@h", "A.", env=None, reloadable=False)


@dataclass(frozen=True)
class House:
    door: Door = group("Doors", Door)
    street: Street = group("Where", Street)
    other: int = 3


def test_defaults_are_read_from_their_texts() -> None:
    assert House().door == Door(7, "kiwi")
    assert House().street.address == ("redis://:fig@h",)


def test_secrets_and_addresses_are_not_shown() -> None:
    assert repr(House().door) == "Door(width=7)"
    assert "fig" not in repr(House())


def test_options_come_in_order_and_know_their_field() -> None:
    assert [(o.title, o.group, o.attribute, o.flag) for o in options_in(House)] == [
        ("Doors", "door", "width", "door.width"),
        ("Doors", "door", "key", "door-key"),
        ("Where", "street", "address", "a"),
    ]


def test_variables_follow_from_the_flags() -> None:
    width, key, address = options_in(House)
    assert width.variables == ("REDIS_EXPORTER_DOOR_WIDTH",)
    assert key.variables == ("REDIS_EXPORTER_DOOR_KEY", "REDIS_EXPORTER_LOCK_KEY")
    assert key.names == ("door-key", "lock-key")
    assert (address.variable, address.variables) == (None, ())
    assert Option("x", TEXT, "", "X.", env="X_OF_OTHERS").variables == ("X_OF_OTHERS",)


def test_the_scope_is_one_word() -> None:
    assert [option.scope for option in options_in(House)] == ["target", "reload", "start"]
