"""The garbage collector while very many objects come and go."""

from __future__ import annotations

import gc
from contextlib import ExitStack

import pytest

from exporter.app.garbage import old_objects_left_alone


def test_only_young_objects_are_looked_at() -> None:
    seen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        seen.append(info["generation"])

    before = gc.get_threshold()
    gc.callbacks.append(note)
    try:
        gc.set_threshold(100, 2, 2)
        with old_objects_left_alone():
            seen.clear()
            kept: list[list[object]] = [[] for _ in range(5000)]
            generations = set(seen)
        assert len(kept) == 5000
        assert generations == {0}
        assert gc.get_threshold() == (100, 2, 2)
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*before)


def test_several_exporters_of_one_process_may_reload_at_once() -> None:
    before = gc.get_threshold()
    with ExitStack() as one, ExitStack() as other:
        one.enter_context(old_objects_left_alone())
        other.enter_context(old_objects_left_alone())
        one.close()
        assert gc.get_threshold() != before
    assert gc.get_threshold() == before


def test_after_a_mistake_it_is_as_before() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="no"), old_objects_left_alone():
        raise ValueError("no")
    assert gc.get_threshold() == before
