"""What stands for a watched target."""

from __future__ import annotations

import weakref

from exporter.polling.identity import Identity


def test_it_is_known_only_as_long_as_somebody_has_it() -> None:
    identity = Identity()
    table = weakref.WeakKeyDictionary({identity: "a"})
    assert table[identity] == "a"
    del identity
    assert len(table) == 0
