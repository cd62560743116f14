"""Texts of servers that the engine reads: INFO, CLIENT LIST, LATENCY HISTOGRAM with INFO commandstats."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import hiredis
from hypothesis import strategies as st

from exporter.collectors.latency_histogram import BucketBounds
from tests.engine.readings import FAMILIES, PATTERNS
from tests.engine.test_engines import CLIENT, COLONS, Pair, real_pairs
from tests.engine.test_engines import text as INFO
from tests.engine.test_frames import AMPLE
from tests.engine.test_histograms import read
from tests.fuzz.case import CUT, Case, Script
from tests.fuzz.cases.engines import BOTH, COMPILED, PLAIN, assert_exposition
from tests.fuzz.cases.generated import Generated
from tests.fuzz.corpus import beginning, lists, sections, texts
from tests.histograms import HISTOGRAMS, STATISTICS
from tests.replay import resp

#: texts that are read one after the other, by the order of lines of the one before
READINGS_MAX = 4
#: almost nothing fits into these
SMALL = {"interned_max": 5, "label_max": 4}
BY = ((), ("name",), ("user", "lib-name", "cmd"), ("db", "flags", "addr"), ("cmd", "name", "user", "db"))
#: rows of a reply to LATENCY HISTOGRAM in one input
ROWS = 3


class Info(Case):
    length_max = 1500
    words = (
        *(
            b"\r\n",
            b"\n",
            b":",
            b"=",
            b",",
            b"# ",
            b"cmdstat_",
            b":calls=",
            b",usec=",
            b"errorstat_",
            b":count=",
        ),
        *(b"db0:keys=", b",expires=", b"slave0:ip=", b",port=", b",state=online,offset=", b",lag="),
        *(
            b"latency_percentiles_usec_",
            b":p50=",
            b",p99.9=",
            b"master_host:",
            b"master_1_host:",
            b"master_link_status:",
        ),
        *(b"role:", b"inf", b"-nan", b"1e5", b"0.00%", b"18446744073709551615", b"ok", b"up", b"yes", CUT),
        *(
            b"module:name=",
            b"_sizes:0=",
            b"thread_0_clients:",
            b"field1:",
            b"old1:",
            b"redis_version:",
            b"|",
            b"\\",
            b'"',
        ),
    )

    def __init__(self) -> None:
        self._tables = real_pairs()

    def seeds(self) -> Iterable[bytes]:
        yield b"\0\x03" + CUT.join(
            b"field%d:%d\r\nmaster_host:h\r\ncmdstat_a|b:calls=1,usec=2" % (n, n) for n in range(3)
        )
        for number, section in enumerate(sections(self.length_max - 2)):
            yield bytes([2 + number % 2 * (number % len(self._tables)), 16]) + section

    def check(self, data: bytes) -> None:
        script = Script(data)
        which, fill = script.below(2 + len(self._tables)), script.below(20)
        if which < 2:
            pair, labels, special = (
                Pair(PATTERNS, FAMILIES, (b"role", b"version"), **(SMALL if which else {})),
                b'addr="a"',
                None,
            )
        else:
            pair, forms = self._tables[which - 2]
            pair.order = COMPILED.LineOrder()
            labels, special = forms.text, forms.special
        for text in script.rest().split(CUT)[:READINGS_MAX]:
            block = pair.check(text, labels, special, fill)
            if which >= 2:
                assert_exposition(block.samples)


class Clients(Case):
    length_max = 900
    words = (
        *(
            b"id=",
            b" addr=",
            b" laddr=",
            b" fd=",
            b" name=",
            b" age=",
            b" idle=",
            b" flags=",
            b" db=",
            b" omem=",
        ),
        *(
            b" tot-mem=",
            b" cmd=",
            b" user=",
            b" lib-name=",
            b"\n",
            b"\r\n",
            b"=",
            b"  ",
            b"/a b",
            b"999999999999999",
        ),
    )

    def seeds(self) -> Iterable[bytes]:
        for text in texts("client_list*.txt"):
            lines = text.split(b"\n")
            for at in range(0, min(len(lines), 12), 2):
                yield b"\2" + beginning(b"\n".join(lines[at : at + 2]), self.length_max - 1)

    def check(self, data: bytes) -> None:
        script = Script(data)
        by, text = script.one_of(BY), script.rest()
        assert COMPILED.client_rows(text) == PLAIN.client_rows(text)
        assert COMPILED.tally_clients(text, by) == PLAIN.tally_clients(text, by)


class Histograms(Case):
    """A reply, INFO commandstats, and both again one poll later."""

    length_max = 1200
    words = (
        *(
            b"*4\r\n$5\r\ncalls\r\n:",
            b"\r\n$14\r\nhistogram_usec\r\n*",
            b"\r\n:",
            b"\r\n$3\r\nget\r\n",
            b"*2\r\n",
            CUT,
        ),
        *(
            b"cmdstat_",
            b":calls=",
            b",usec=",
            b",usec_per_call=",
            b"|",
            b"999999999999999999",
            b"-1",
            b"\r\n",
        ),
    )

    def seeds(self) -> Iterable[bytes]:
        statistics = [section for section in sections(500) if section.startswith(b"# Commandstats")]
        for number, value in enumerate(lists("latency_histogram.json")):
            for at in range(0, min(len(value), 60), 2 * ROWS):
                yield CUT.join([resp(value[at : at + 2 * ROWS]), statistics[number % len(statistics)]])

    def check(self, data: bytes) -> None:
        parts = data.split(CUT)[:4]
        parts += [b""] * (-len(parts) % 2)
        bounds = BucketBounds(), BucketBounds()
        for reply, statistics in zip(parts[::2], parts[1::2], strict=True):
            ours, plain = (
                read(engine, reply, statistics, own) for engine, own in zip(BOTH, bounds, strict=True)
            )
            assert ours == plain
            if ours is not None:
                assert_exposition(ours[0])
            self._check_values(reply)

    @staticmethod
    def _check_values(reply: bytes) -> None:
        """The rows of the same reply, read by hiredis."""
        frames = COMPILED.Frames()
        frames.expect(1, *AMPLE)
        if frames.scan(reply) != COMPILED.DONE:
            return
        reader = hiredis.Reader()
        reader.feed(reply)
        value = reader.gets()
        for bounds_max in (3, 40):
            assert COMPILED.histogram_rows(value, bounds_max) == PLAIN.histogram_rows(value, bounds_max)


class CommandStatistics(Histograms):
    """INFO commandstats, for one reply to LATENCY HISTOGRAM."""

    length_max = 800

    def __init__(self) -> None:
        value = next(lists("latency_histogram.json", ("redis-7.0.15",)))
        self._names = [name.encode() for name in value[:16:2]]
        self._reply = resp(value[:16])

    def seeds(self) -> Iterable[bytes]:
        yield b"".join(
            b"cmdstat_%b:calls=2,usec=%d,usec_per_call=1.00\r\n" % (name, number)
            for number, name in enumerate(self._names)
        )
        yield from islice(
            (section for section in sections(self.length_max) if section.startswith(b"# Commandstats")), 9
        )

    def check(self, data: bytes) -> None:
        ours, plain = (read(engine, self._reply, data, BucketBounds()) for engine in BOTH)
        assert ours == plain
        if ours is not None:
            assert_exposition(ours[0])


_PLAN_LIMITS = st.sampled_from([{}, SMALL])


class InfoLines(Generated):
    """INFO of generated lines, some readings in a row."""

    made = st.tuples(
        st.lists(INFO | COLONS, min_size=1, max_size=READINGS_MAX), _PLAN_LIMITS, st.integers(0, 20)
    )

    def check_value(self, value: tuple[list[bytes], dict[str, int], int]) -> None:
        readings, limits, fill = value
        pair = Pair(PATTERNS, FAMILIES, (b"role", b"version"), **limits)
        for text in readings:
            pair.check(text, fill=fill)


class ClientLines(Generated):
    made = st.tuples(st.lists(CLIENT, max_size=6).map(b"\n".join), st.sampled_from(BY))

    def check_value(self, value: tuple[bytes, tuple[str, ...]]) -> None:
        text, by = value
        assert COMPILED.client_rows(text) == PLAIN.client_rows(text)
        assert COMPILED.tally_clients(text, by) == PLAIN.tally_clients(text, by)


class HistogramRows(Generated):
    made = st.lists(st.tuples(HISTOGRAMS.map(resp), STATISTICS), min_size=1, max_size=3)

    def check_value(self, value: list[tuple[bytes, bytes]]) -> None:
        bounds = BucketBounds(), BucketBounds()
        for reply, statistics in value:
            ours, plain = (
                read(engine, reply, statistics, own) for engine, own in zip(BOTH, bounds, strict=True)
            )
            assert ours == plain
