"""Which commands a run of a server has answered."""

from __future__ import annotations

import pytest

from exporter.collectors._answered import Answered


@pytest.mark.parametrize(("run_id", "words"), [("a", {"TYPE"}), ("b", set())])
def test_it_holds_for_one_run_of_the_server(run_id: str, words: set[str]) -> None:
    answered = Answered({"TYPE"}, "a")
    answered.begin(run_id)
    assert answered.words == words
