"""Several threads read by one plan at once: each gets what it gets alone."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine.readings import ENGINES, FAMILIES, NOW, PATTERNS, PICKED, seen

THREADS = 4
#: a compiled reading of a text this large runs without the GIL, whatever the limit for that is
LINES = 2_500


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.ENGINE)
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def compiled() -> Any:
    if PICKED.ENGINE != "compiled":
        pytest.skip("the plain engine interns nothing, and keeps no memory")
    return PICKED


@pytest.fixture(autouse=True)
def quick_switches() -> Iterator[None]:
    """Threads of plain Python take turns after a few bytecodes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def text_of(thread: int, lines: int = LINES, step: int = 1) -> bytes:
    """A reply with all kinds of lines. Half of its names are its own, the others come in every reply."""
    rows = [b"role:thread%d" % thread, b"version:7.%d" % thread, b"field0:%d" % thread]
    for i in range(0, lines, step):
        name = b"%s%d" % (b"own%d_" % thread if i % 2 else b"name", i)
        value = 1000 * thread + i
        rows.append(
            (
                b"cmdstat_%s:calls=%d,usec=%d" % (name, value, value),
                b"latency_percentiles_usec_%s:p50=%d,p99.9=%d" % (name, value, value),
                b"db%d:keys=%d,expires=0" % (i, value),
                b"thread_%d_clients:%d" % (i, value),
                b"%s:%d" % (name * 30, value),  # longer than what is interned
            )[i // 2 % 5]
        )
    return b"\r\n".join(rows) + b"\r\n"


def in_threads(work: Callable[[int], None]) -> None:
    """Run `work` in all threads at once; the first error of one is raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("interned_max", [16384, 300, 0])
def test_threads_that_read_by_one_plan_get_what_each_gets_alone(engine: Any, interned_max: int) -> None:
    """In each round the plan is new: the threads intern the same names and their own ones at the same
    time."""
    rounds, again = (12, 4) if engine.ENGINE == "compiled" else (2, 2)
    labels = engine.Labels(b'addr="a"', {11: b""})
    texts = [(text_of(thread), text_of(thread, step=3)) for thread in range(THREADS)]

    def new_plan() -> Any:
        return engine.Plan(
            PATTERNS, FAMILIES, (b"role", b"version"), interned_max=interned_max, label_max=600
        )

    def read(plan: Any, text: bytes, order: Any) -> tuple[object, ...]:
        return seen(plan.read(text, labels, order, NOW, 3))

    alone = [[read(new_plan(), text, engine.LineOrder()) for text in pair] for pair in texts]
    for _ in range(rounds):
        plan = new_plan()

        def work(thread: int, plan: Any = plan) -> None:
            order = engine.LineOrder()
            for _ in range(again):
                for text, expected in zip(texts[thread], alone[thread], strict=True):
                    assert read(plan, text, order) == expected

        in_threads(work)


def test_threads_may_share_a_line_order(engine: Any) -> None:
    """A line order belongs to one target, but a mistake in that must not read or write other memory."""
    labels = engine.Labels(b'addr="a"')
    plan = engine.Plan(PATTERNS, FAMILIES, (b"role",))
    order = engine.LineOrder()
    texts = [text_of(thread, 900 + 300 * thread) for thread in range(THREADS)]
    alone = [seen(plan.read(text, labels, engine.LineOrder(), NOW)) for text in texts]

    def work(thread: int) -> None:
        for _ in range(20 if engine.ENGINE == "compiled" else 2):
            assert seen(plan.read(texts[thread], labels, order, NOW)) == alone[thread]

    in_threads(work)


def test_a_line_order_may_come_from_another_plan(engine: Any) -> None:
    """As after a reload: what the order holds means nothing to the new plan."""
    labels = engine.Labels(b"")
    order = engine.LineOrder()
    large = engine.Plan(PATTERNS, FAMILIES, (b"role", b"version"))
    small = engine.Plan(PATTERNS[:1], [(b"calls", engine.RECORD, 0, b"calls", 0, (), False)], (b"version",))
    text = text_of(1)
    for _ in range(3):
        for plan in (large, small):
            alone = plan.read(text, labels, engine.LineOrder(), NOW)
            assert seen(plan.read(text, labels, order, NOW)) == seen(alone)


def test_a_reading_uses_the_memory_of_the_one_before(compiled: Any) -> None:
    """In a steady state only the block is new. tracemalloc sees the memory of the compiled engine too."""
    engine = compiled
    plan = engine.Plan(PATTERNS, FAMILIES, (b"role",), interned_max=600)
    labels, order, text = engine.Labels(b'addr="a"'), engine.LineOrder(), text_of(0)
    for _ in range(3):
        block = plan.read(text, labels, order, NOW, 3)
    kept, took = [], []
    tracemalloc.start()
    try:
        block = plan.read(text, labels, order, NOW, 3)
        for _ in range(3):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(20):
                block = plan.read(text, labels, order, NOW, 3)
            after, peak = tracemalloc.get_traced_memory()
            kept.append(after - before)
            took.append(peak - before)
    finally:
        tracemalloc.stop()
    # the least of three: another thread of the process may take some meanwhile
    assert min(kept) < 1000
    assert min(took) < 1.3 * len(block.samples) + len(block.offsets) + 2000


#: a text of 64 KiB and more is read without the GIL, a smaller one with it
LARGE_AND_SMALL = """
import threading, tracemalloc
from exporter import engine
from tests.engine.readings import FAMILIES, PATTERNS

def text(name, lines):
    return b"".join(b"cmdstat_%s_%d:calls=1,usec=2\\r\\n" % (name, i) for i in range(lines))

large = [text(b"large%d" % i, 3000) for i in range(5)]
small = [text(b"small%d" % i, 20) for i in range(200)]
labels = engine.Labels(b"")
tracemalloc.start()
for _ in range(5):
    plan = engine.Plan(PATTERNS, FAMILIES)
    def read(texts):
        for text in texts:
            plan.read(text, labels)
    threads = [threading.Thread(target=read, args=(texts,), daemon=True) for texts in (large, small)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(plan.interned)
"""


@pytest.mark.usefixtures("compiled")
def test_large_and_small_readings_wait_for_each_other_under_tracemalloc() -> None:
    """To get memory a large reading needs the GIL then, also while it has the lock of the keys."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE_AND_SMALL], timeout=60, capture_output=True, text=True, check=True
    )
    assert done.stdout == "16384\n"
