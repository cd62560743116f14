"""Cases whose values hypothesis makes of the bytes of an input."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.case import Case


class Generated(Case):
    """`made` are the values, `check_value` looks at one."""

    made: st.SearchStrategy[Any]
    length_max = 2000
    SEEDS = 20

    def __init__(self) -> None:
        @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(self.made)
        def check(value: Any) -> None:
            self.check_value(value)

        self._check = check.hypothesis.fuzz_one_input  # type: ignore[attr-defined]

    def check_value(self, value: Any) -> None:
        raise NotImplementedError

    def seeds(self) -> Iterable[bytes]:
        chance = random.Random(1)
        return [chance.randbytes(chance.randint(1, self.length_max)) for _ in range(self.SEEDS)]

    def check(self, data: bytes) -> None:
        self._check(data)
