"""Label values and the target's labels, as both engines write them."""

from __future__ import annotations

import pytest

from exporter.metrics.family import Pattern, Record, gauge
from tests.engine.readings import ENGINES, Reader, field


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.ENGINE)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(request.param, monkeypatch)


COMMAND = Pattern("cmdstat_", "cmd", first="calls=")

CALLS = gauge("calls", "Help.", Record(COMMAND, "calls"))


class TestLabelValues:
    @pytest.mark.parametrize(
        ("name", "escaped"),
        [
            (b'say "hi"', rb"say \"hi\""),
            (rb"back\slash", rb"back\\slash"),
            (b"a=b,c", b"a=b,c"),
            (b"config|get", b"config|get"),
            ("été".encode(), "été".encode()),
            (b"bin\xff\xfe", "bin\ufffd\ufffd".encode()),
            (b"cut\xc3", "cut\ufffd".encode()),
        ],
    )
    def test_are_escaped(self, reader: Reader, name: bytes, escaped: bytes) -> None:
        assert reader.read(b"cmdstat_" + name + b":calls=1\n", CALLS).lines == [
            f'calls{{cmd="{escaped.decode()}"}} 1'
        ]

    def test_are_cut_between_characters(self, reader: Reader) -> None:
        assert reader.read("cmdstat_abcdefgh:calls=1\n", CALLS, label_max=4).lines == ['calls{cmd="abcd"} 1']
        assert reader.read("cmdstat_abcé:calls=1\n", CALLS, label_max=4).lines == ['calls{cmd="abc"} 1']

    def test_names_that_are_equal_once_cut_are_one(self, reader: Reader) -> None:
        assert reader.read("cmdstat_abc1:calls=1\ncmdstat_abc2:calls=2\n", CALLS, label_max=3).lines == [
            'calls{cmd="abc"} 1'
        ]


class TestTargetLabels:
    def test_stand_before_a_familys_own(self, reader: Reader) -> None:
        plan = reader.plan(field("x"), CALLS)
        lines = reader.read_by(plan, "x:1\ncmdstat_a:calls=2\n", labels=b'addr="h",env="p"').lines
        assert lines == ['x{addr="h",env="p"} 1', 'calls{addr="h",env="p",cmd="a"} 2']

    def test_a_family_may_have_other_ones(self, reader: Reader) -> None:
        plan = reader.plan(field("x"), CALLS, field("y"))
        text = "x:1\ny:3\ncmdstat_a:calls=2\n"
        lines = reader.read_by(plan, text, labels=b'addr="h",cmd="c"', special={1: b'addr="h"', 2: b""}).lines
        assert lines == ['x{addr="h",cmd="c"} 1', 'calls{addr="h",cmd="a"} 2', "y 3"]

    def test_one_plan_serves_all_targets(self, reader: Reader) -> None:
        plan = reader.plan(CALLS)
        for addr in ("a", "b", "a"):
            assert reader.read_by(
                plan, "cmdstat_get:calls=1\n", labels=b'addr="%s"' % addr.encode()
            ).lines == [f'calls{{addr="{addr}",cmd="get"}} 1']
