"""How INFO is read, as both engines do it."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.metrics.family import (
    EverySubField,
    Field,
    Pattern,
    Record,
    SubFieldLabel,
    Transform,
    gauge,
    summary,
)
from tests.engine.readings import ENGINES, NOW, Reader, field


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.ENGINE)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(request.param, monkeypatch)


COMMAND = Pattern("cmdstat_", "cmd", first="calls=")
DB = Pattern("db", "db", digits=True, whole=True)
REPLICA = Pattern("slave", "", digits=True)
THREAD = Pattern("thread_", "thread", suffix="_clients", digits=True)
LATENCY = Pattern("latency_percentiles_usec_", "cmd", first="p")
SIZES = Pattern("db", "db", suffix="_sizes", digits=True, constant=(("type", "string"),))

CALLS = gauge("calls", "Help.", Record(COMMAND, "calls"))
KEYS = gauge("keys", "Help.", Record(DB, "keys", fill=True))


class TestLines:
    def test_end_with_or_without_a_carriage_return(self, reader: Reader) -> None:
        assert reader.read("x:1\r\ny:2\nz:3", field("x"), field("y"), field("z")).lines == [
            "x 1",
            "y 2",
            "z 3",
        ]

    def test_only_one_carriage_return_belongs_to_the_end(self, reader: Reader) -> None:
        assert reader.read("x:1\r\r\n", field("x")).invalid == 1

    @pytest.mark.parametrize(
        "line", ["", "# Section", "#x:1", "no colon", ":", "x", "x=1", "x :1", "X:1", "xx:1", "\x00x:1"]
    )
    def test_that_say_nothing_we_know_are_passed_over(self, reader: Reader, line: str) -> None:
        reading = reader.read(f"{line}\r\ny:2\r\n", field("x"), field("y"))
        assert (reading.lines, reading.invalid) == (["y 2"], 0)

    @pytest.mark.parametrize("begin", [" ", "\t", "  \t "])
    def test_may_begin_with_blanks(self, reader: Reader, begin: str) -> None:
        plan, order = reader.plan(field("x"), field("y")), reader.engine.LineOrder()
        for blanks in ("", begin, begin, ""):
            text = f"{blanks}# Section\n{blanks}x:1\n{blanks}\n{blanks}y:2\n{blanks}".encode()
            assert plan.read(text, reader.engine.Labels(b""), order, NOW).samples == b"x 1\ny 2\n"

    def test_end_before_the_blanks_at_their_end(self, reader: Reader) -> None:
        info = gauge("info", "Help.", Field("v", Transform.ONE, labels=(("os", "os"),)))
        reading = reader.read("v: 7.0\t\r\nos: Linux 6.1 x86 \r\nup: ok \n", info, fields=("v", "os", "up"))
        assert reading.lines == ['info{os="Linux 6.1 x86"} 1']
        assert reading.fields == (b"7.0", b"Linux 6.1 x86", b"ok")

    def test_of_a_key_the_first_counts(self, reader: Reader) -> None:
        assert reader.read("x:1\r\nx:2\r\n", field("x")).lines == ["x 1"]

    def test_an_older_spelling_counts_where_the_newer_is_missing(self, reader: Reader) -> None:
        family = field("x", also=("old_x",))
        assert reader.read("old_x:1\r\n", family).lines == ["x 1"]
        assert reader.read("old_x:1\r\nx:2\r\n", family).lines == ["x 2"]

    def test_one_line_may_serve_several_families(self, reader: Reader) -> None:
        seconds = gauge("seconds", "Help.", Field("x", Transform.MSEC))
        assert reader.read("x:1500\r\n", field("x"), seconds).lines == ["x 1500", "seconds 1.5"]

    def test_come_out_in_the_order_of_the_families(self, reader: Reader) -> None:
        families = (field("x"), field("missing"), CALLS, field("y"))
        reading = reader.read("y:2\ncmdstat_b:calls=2\nx:1\ncmdstat_a:calls=1\n", *families)
        assert reading.by_family == ["x 1\n", "", 'calls{cmd="b"} 2\ncalls{cmd="a"} 1\n', "y 2\n"]

    def test_a_hidden_family_keeps_its_place(self, reader: Reader) -> None:
        assert reader.read("x:1\ny:2\n", field("x"), field("y"), hidden=frozenset({"x"})).by_family == [
            "",
            "y 2\n",
        ]

    def test_texts_that_were_asked_for_are_given_back(self, reader: Reader) -> None:
        reading = reader.read(
            "role:master\nrun_id:\nx:nan\n", field("x"), fields=("role", "run_id", "x", "missing")
        )
        assert reading.fields == (b"master", b"", b"nan", None)

    def test_of_a_wanted_field_a_thousand_bytes_are_given_back(self, reader: Reader) -> None:
        plan, order = reader.plan(field("x"), fields=("x",)), reader.engine.LineOrder()
        for length in (1001, 5000, 1000, 999):
            block = plan.read(b"x:" + b"7" * length + b"\r\n", reader.engine.Labels(b""), order, 0.0, 0)
            assert block.fields == (b"7" * min(length, 1000),)

    def test_an_empty_text_gives_nothing(self, reader: Reader) -> None:
        assert reader.read("", field("x"), CALLS) == ([], 0, (), ["", ""])

    def test_of_one_reply_nothing_is_left_in_the_next(self, reader: Reader) -> None:
        plan = reader.plan(field("x"), CALLS, fields=("x",))
        order = reader.engine.LineOrder()
        labels = reader.engine.Labels(b"")
        texts = [b"x:1\ncmdstat_a:calls=1\ncmdstat_b:calls=2\n", b"cmdstat_b:calls=3\n", b"", b"x:4\n"]
        blocks = [plan.read(text, labels, order, NOW) for text in texts]
        assert [block.samples.decode().split("\n")[:-1] for block in blocks] == [
            ["x 1", 'calls{cmd="a"} 1', 'calls{cmd="b"} 2'],
            ['calls{cmd="b"} 3'],
            [],
            ["x 4"],
        ]
        assert [block.fields for block in blocks] == [(b"1",), (None,), (None,), (b"4",)]


class TestLabelsOfFields:
    INFO = gauge(
        "info",
        "Help.",
        Field(
            "version",
            Transform.ONE,
            labels=(("role", "role"), ("mode", "redis_mode|server_mode"), ("fork", "valkey_version")),
            optional=("fork",),
        ),
    )

    def test_are_read_from_other_lines_wherever_they_stand(self, reader: Reader) -> None:
        text = "role:master\nversion:7.0\nredis_mode:cluster\nvalkey_version:8.1\n"
        assert reader.read(text, self.INFO).lines == ['info{role="master",mode="cluster",fork="8.1"} 1']

    def test_one_that_is_missing_is_empty_and_an_optional_one_left_out(self, reader: Reader) -> None:
        assert reader.read("version:7.0\n", self.INFO).lines == ['info{role="",mode=""} 1']

    def test_an_optional_one_that_is_empty_is_left_out(self, reader: Reader) -> None:
        assert reader.read("version:7.0\nvalkey_version:\n", self.INFO).lines == ['info{role="",mode=""} 1']

    def test_a_spare_one_is_left_out_where_the_first_key_is_there(self, reader: Reader) -> None:
        source = Field("version", Transform.ONE, labels=(("name", "name"),), spare=("name",), also=("other",))
        info = gauge("info", "Help.", source)
        assert reader.read("version:7.0\nname:x\n", info).lines == ["info 1"]
        assert reader.read("other:7.0\nname:x\n", info).lines == ['info{name="x"} 1']
        assert reader.read("other:7.0\n", info).lines == ["info 1"]

    def test_the_first_key_that_is_there_counts(self, reader: Reader) -> None:
        assert reader.read("version:8\nserver_mode:new\n", self.INFO).lines == ['info{role="",mode="new"} 1']
        assert reader.read("version:8\nserver_mode:new\nredis_mode:old\n", self.INFO).lines == [
            'info{role="",mode="old"} 1'
        ]

    def test_without_its_own_line_a_family_has_no_sample(self, reader: Reader) -> None:
        assert reader.read("role:master\n", self.INFO).lines == []


class TestRecords:
    def test_one_line_gives_each_family_its_sub_field(self, reader: Reader) -> None:
        seconds = gauge("seconds", "Help.", Record(COMMAND, "usec", Transform.USEC))
        assert reader.read("cmdstat_get:calls=3,usec=1500000,usec_per_call=5.00\n", CALLS, seconds).lines == [
            'calls{cmd="get"} 3',
            'seconds{cmd="get"} 1.5',
        ]

    def test_without_the_sub_field_there_is_no_sample(self, reader: Reader) -> None:
        failed = gauge("failed", "Help.", Record(COMMAND, "failed_calls"))
        reading = reader.read("cmdstat_get:calls=3\n", failed)
        assert (reading.lines, reading.invalid) == ([], 0)

    def test_one_that_is_no_number_costs_no_other(self, reader: Reader) -> None:
        reading = reader.read("cmdstat_a:calls=x\ncmdstat_b:calls=\ncmdstat_c:calls=3\n", CALLS)
        assert (reading.lines, reading.invalid) == (['calls{cmd="c"} 3'], 2)

    def test_of_a_sub_field_named_twice_the_first_counts(self, reader: Reader) -> None:
        assert reader.read("cmdstat_get:calls=1,calls=2\n", CALLS).lines == ['calls{cmd="get"} 1']

    def test_of_a_name_the_first_counts(self, reader: Reader) -> None:
        assert reader.read("cmdstat_get:calls=1\ncmdstat_get:calls=2\n", CALLS).lines == [
            'calls{cmd="get"} 1'
        ]

    @pytest.mark.parametrize("subs", ["calls=1,usec=2", "usec=2,calls=1", "usec_per_call=2,calls=1"])
    @pytest.mark.parametrize("name", ["get", "odd.cmd#1:2", "a:b=c"])
    def test_sub_fields_come_in_any_order_and_a_name_may_hold_colons(
        self, reader: Reader, name: str, subs: str
    ) -> None:
        plan, order = reader.plan(CALLS), reader.engine.LineOrder()
        for text in (f"cmdstat_{name}:{subs}\n", "cmdstat_other:calls=7\n", f"cmdstat_{name}:{subs}\n"):
            block = plan.read(text.encode(), reader.engine.Labels(b""), order, NOW)
        assert block.samples.decode() == f'calls{{cmd="{name}"}} 1\n'

    @pytest.mark.parametrize("subs", ["id=lua,memory=5,calls=1", "calls=1,id=lua", "memory=5,calls=1,id=lua"])
    def test_so_do_those_of_a_numbered_one(self, reader: Reader, subs: str) -> None:
        engine = Pattern("engine_", "engine", digits=True)
        calls = gauge("calls", "Help.", Record(engine, "calls", labels=(("name", "id"),)))
        assert reader.read(f"engine_0:{subs}\n", calls).lines == ['calls{engine="0",name="lua"} 1']

    @pytest.mark.parametrize("subs", ["calls=1,usec=2", "usec=2,calls=1"])
    def test_colons_at_the_end_of_a_name_are_none_of_it(self, reader: Reader, subs: str) -> None:
        assert reader.read(
            f"cmdstat_get::{subs}\ncmdstat_a:b:::{subs}\ncmdstat_X::{subs}\n", CALLS
        ).lines == [
            'calls{cmd="get"} 1',
            'calls{cmd="a:b"} 1',
            'calls{cmd="X"} 1',
        ]

    @pytest.mark.parametrize(
        "subs",
        ["calls=71, usec=7200, usec_per_call=101.4", " calls = 71 ,\tusec=7200 ", "usec= 7200, calls=71"],
    )
    def test_blanks_around_sub_fields_are_none_of_them(self, reader: Reader, subs: str) -> None:
        seconds = gauge("seconds", "Help.", Record(COMMAND, "usec", Transform.USEC))
        plan, order = reader.plan(CALLS, seconds), reader.engine.LineOrder()
        for text in (b"cmdstat_get:calls=1,usec=2\r\n", *[f"cmdstat_get:{subs}\r\n".encode()] * 2):
            block = plan.read(text, reader.engine.Labels(b""), order, NOW)
        assert block.samples == b'calls{cmd="get"} 71\nseconds{cmd="get"} 0.0072\n'

    @pytest.mark.parametrize("blank", ["\v", "\f", "\r", "\u00a0"])
    def test_blanks_are_spaces_and_tabs(self, reader: Reader, blank: str) -> None:
        reading = reader.read(f"cmdstat_a:calls=1{blank}\ncmdstat_b:x=1,calls{blank}=2,calls=3\n", CALLS)
        assert reading.lines[-1:] == ['calls{cmd="b"} 3']
        assert (len(reading.lines), reading.invalid) == ((2, 0) if blank == "\r" else (1, 1))

    def test_a_line_with_none_of_the_sub_fields_that_are_read_is_another_record(self, reader: Reader) -> None:
        reading = reader.read("db0:binlog_offset=1 2,safety_purge=none\ndb0:keys=5\n", KEYS)
        assert reading.lines == ['keys{db="db0"} 5']

    def test_a_line_of_the_shape_without_sub_fields_has_no_sample(self, reader: Reader) -> None:
        reading = reader.read("cmdstat_get:1\ncmdstat_a:b\ncmdstat_c:\n", CALLS)
        assert (reading.lines, reading.invalid) == ([], 0)

    @pytest.mark.parametrize(
        "key", ["db", "dbx", "db0x", "db-1", "db0_sizes", "infotest_db0", "db" + "1" * 19]
    )
    def test_a_numbered_one_is_numbered_by_digits_only(self, reader: Reader, key: str) -> None:
        assert reader.read(f"{key}:keys=1,expires=0\n", KEYS).lines == []

    def test_the_whole_key_may_be_the_label(self, reader: Reader) -> None:
        assert reader.read("db0:keys=1\ndb11:keys=2\n", KEYS).lines == [
            'keys{db="db0"} 1',
            'keys{db="db11"} 2',
        ]

    def test_the_name_may_stand_before_a_suffix_and_the_value_have_no_sub_fields(
        self, reader: Reader
    ) -> None:
        clients = gauge("clients", "Help.", Record(THREAD, ""))
        assert reader.read("thread_0_clients:3\nthread_1_clients:4\nthread_x_clients:5\n", clients).lines == [
            'clients{thread="0"} 3',
            'clients{thread="1"} 4',
        ]

    def test_labels_may_be_sub_fields(self, reader: Reader) -> None:
        lag = gauge("lag", "Help.", Record(REPLICA, "lag", labels=(("ip", "ip"), ("state", "state"))))
        text = "slave0:ip=::1,port=7,state=online,lag=0\nslave1:ip=b,lag=5\n"
        assert reader.read(text, lag).lines == ['lag{ip="::1",state="online"} 0', 'lag{ip="b",state=""} 5']

    def test_a_label_may_be_the_whole_value(self, reader: Reader) -> None:
        info = gauge("info", "Help.", Record(THREAD, "", Transform.ONE, labels=(("clients", ""),)))
        assert reader.read("thread_0_clients:many\nthread_1_clients:\n", info).lines == [
            'info{thread="0",clients="many"} 1'
        ]

    def test_one_of_two_names_may_be_there(self, reader: Reader) -> None:
        text = "db0:keys=1,new=2\ndb1:keys=1,old=3\ndb2:keys=1,old=4,new=5\ndb3:keys=1\n"
        either = gauge("either", "Help.", Record(DB, "new|old"))
        labelled = gauge("labelled", "Help.", Record(DB, "new|old", labels=(("keys", "keys"),)))
        assert reader.read(text, either).lines == [
            'either{db="db0"} 2',
            'either{db="db1"} 3',
            'either{db="db2"} 5',
        ]
        assert reader.read(text, either, labelled).lines == [
            'either{db="db0"} 2',
            'either{db="db1"} 3',
            'either{db="db2"} 5',
            'labelled{db="db0",keys="1"} 2',
            'labelled{db="db1",keys="1"} 3',
            'labelled{db="db2",keys="1"} 5',
        ]

    def test_the_same_labels_twice_are_written_once(self, reader: Reader) -> None:
        lag = gauge("lag", "Help.", Record(REPLICA, "lag", labels=(("ip", "ip"),)))
        assert reader.read("slave0:ip=a,lag=1\nslave1:ip=a,lag=2\n", lag).lines == ['lag{ip="a"} 1']

    def test_a_negative_number_may_mean_that_it_is_not_known(self, reader: Reader) -> None:
        cached = gauge("cached", "Help.", Record(DB, "cached_keys"))
        reading = reader.read("db0:keys=1,cached_keys=-1\ndb1:keys=1,cached_keys=7\n", cached)
        assert (reading.lines, reading.invalid) == (['cached{db="db1"} 7'], 0)


class TestTimesAgo:
    """They count from the time of the reading, wherever they stand."""

    def test_in_a_field_a_record_and_each_sub_field(self, reader: Reader) -> None:
        ago = Transform.AGO
        families = (
            field("x", ago),
            gauge("record", "Help.", Record(REPLICA, "lag", ago)),
            summary(
                "every",
                "Help.",
                EverySubField(
                    LATENCY,
                    "quantile",
                    SubFieldLabel.PERCENTILE,
                    ago,
                    sum=Record(COMMAND, "usec", ago),
                    count=Record(COMMAND, "calls", ago),
                ),
                labels=("cmd",),
            ),
        )
        text = "x:1\nslave0:ip=a,lag=2\nlatency_percentiles_usec_get:p50=3\ncmdstat_get:calls=4,usec=5\n"
        assert reader.read(text, *families).lines == [
            "x 1699999999",
            "record 1699999998",
            'every{cmd="get",quantile="50"} 1699999997',
            'every_sum{cmd="get"} 1699999995',
            'every_count{cmd="get"} 1699999996',
        ]


class TestFill:
    def test_numbers_that_are_missing_are_written_as_zero(self, reader: Reader) -> None:
        lines = reader.read_by(reader.plan(KEYS), "db2:keys=5\n", fill=4).lines
        assert lines == ['keys{db="db2"} 5', 'keys{db="db0"} 0', 'keys{db="db1"} 0', 'keys{db="db3"} 0']

    def test_a_number_with_zeros_before_it_is_another_name(self, reader: Reader) -> None:
        lines = reader.read_by(reader.plan(KEYS), "db01:keys=5\n", fill=2).lines
        assert lines == ['keys{db="db01"} 5', 'keys{db="db0"} 0', 'keys{db="db1"} 0']

    def test_only_in_families_that_want_it(self, reader: Reader) -> None:
        expires = gauge("expires", "Help.", Record(DB, "expires"))
        assert reader.read_by(reader.plan(expires), "db0:keys=5,expires=1\n", fill=3).lines == [
            'expires{db="db0"} 1'
        ]

    def test_what_is_there_beyond_the_count_stays(self, reader: Reader) -> None:
        assert reader.read_by(reader.plan(KEYS), "db9:keys=5\n", fill=1).lines == [
            'keys{db="db9"} 5',
            'keys{db="db0"} 0',
        ]

    def test_a_database_whose_value_is_no_number_is_not_said_to_be_empty(self, reader: Reader) -> None:
        reading = reader.read_by(reader.plan(KEYS), "db0:keys=x\n", fill=1)
        assert (reading.lines, reading.invalid) == ([], 1)

    def test_has_a_bound(self, reader: Reader) -> None:
        assert len(reader.read_by(reader.plan(KEYS), "", fill=10**7).lines) == 65536


class TestMasters:
    """KeyDB and Dragonfly have several: further ones are numbered from 1, or their keys come again. Fields
    without `master` in their key belong to the master before them."""

    MASTER = (("master_host", "master_host"), ("master_port", "master_port"))
    UP = gauge("link_up", "Help.", Field("master_link_status", Transform.UP, labels=MASTER))
    OFFSET = gauge("offset", "Help.", Field("slave_repl_offset", labels=MASTER))

    def test_one_as_redis_has_it(self, reader: Reader) -> None:
        text = "role:slave\nmaster_host:h\nmaster_port:6379\nmaster_link_status:up\nslave_repl_offset:7\n"
        assert reader.read(text, self.UP, self.OFFSET).lines == [
            'link_up{master_host="h",master_port="6379"} 1',
            'offset{master_host="h",master_port="6379"} 7',
        ]

    def test_several(self, reader: Reader) -> None:
        text = (
            "master_host:a\nmaster_port:1\nmaster_link_status:up\nslave_repl_offset:10\n"
            "master_1_host:b\nmaster_1_port:2\nmaster_1_link_status:down\nslave_repl_offset:20\n"
        )
        assert reader.read(text, self.UP, self.OFFSET).lines == [
            'link_up{master_host="a",master_port="1"} 1',
            'link_up{master_host="b",master_port="2"} 0',
            'offset{master_host="a",master_port="1"} 10',
            'offset{master_host="b",master_port="2"} 20',
        ]

    def test_several_of_the_same_keys(self, reader: Reader) -> None:
        text = "".join(
            f"master_host:{host}\nmaster_port:1\nmaster_link_status:up\nslave_repl_offset:{offset}\n"
            for host, offset in (("a", 10), ("b", 20), ("c", 30), ("b", 40))
        )
        assert reader.read(text, self.UP, self.OFFSET).lines == [
            'link_up{master_host="a",master_port="1"} 1',
            'link_up{master_host="b",master_port="1"} 1',
            'link_up{master_host="c",master_port="1"} 1',
            'offset{master_host="a",master_port="1"} 10',
            'offset{master_host="b",master_port="1"} 20',
            'offset{master_host="c",master_port="1"} 30',
        ]

    @pytest.mark.parametrize(
        "key", ["master_0_{}", "master0_{}", "master00_{}", "master_7_{}", "master9999_{}"]
    )
    def test_however_they_are_numbered(self, reader: Reader, key: str) -> None:
        text = "master_host:a\nmaster_port:1\nmaster_link_status:up\n" + "".join(
            f"{key.format(name)}:{value}\n"
            for name, value in (("host", "b"), ("port", "2"), ("link_status", "down"))
        )
        assert reader.read(text, self.UP).lines == [
            'link_up{master_host="a",master_port="1"} 1',
            'link_up{master_host="b",master_port="2"} 0',
        ]

    @pytest.mark.parametrize("key", ["master_{n}_{name}", "master_{name}"])
    def test_no_more_than_a_server_could_have(self, reader: Reader, key: str) -> None:
        text = "".join(
            f"{key.format(n=n, name='host')}:h{n}\n{key.format(n=n, name='link_status')}:up\n"
            for n in range(1, 200)
        )
        assert len(reader.read("master_link_status:up\n" + text, self.UP).lines) == 64

    @pytest.mark.parametrize(
        "key",
        ["master_x_link_status", "master__link_status", "master_12345_link_status", "master0link_status"],
    )
    def test_other_numbers_are_none(self, reader: Reader, key: str) -> None:
        assert reader.read(f"{key}:up\n", self.UP).lines == []

    def test_fields_of_no_master_know_no_groups(self, reader: Reader) -> None:
        assert reader.read("master_1_host:b\nrole:x\nx:1\n", field("x"), self.UP).lines == ["x 1"]


class TestEverySubField:
    USEC = summary(
        "usec",
        "Help.",
        EverySubField(
            LATENCY,
            "quantile",
            SubFieldLabel.PERCENTILE,
            Transform.NUM,
            sum=Record(COMMAND, "usec"),
            count=Record(COMMAND, "calls"),
        ),
        labels=("cmd",),
    )
    SECONDS = summary(
        "seconds",
        "Help.",
        EverySubField(
            LATENCY,
            "quantile",
            SubFieldLabel.FRACTION,
            Transform.USEC,
            sum=Record(COMMAND, "usec", Transform.USEC),
            count=Record(COMMAND, "calls"),
        ),
        labels=("cmd",),
    )
    SIZE = gauge("size", "Help.", EverySubField(SIZES, "size", SubFieldLabel.SIZE))

    TEXT = "cmdstat_get:calls=3,usec=4000000\nlatency_percentiles_usec_get:p50=1.003,p99.9=2000\n"

    def test_every_sub_field_is_a_sample_and_sum_and_count_join(self, reader: Reader) -> None:
        assert reader.read(self.TEXT, self.USEC).lines == [
            'usec{cmd="get",quantile="50"} 1.003',
            'usec{cmd="get",quantile="99.9"} 2000',
            'usec_sum{cmd="get"} 4000000',
            'usec_count{cmd="get"} 3',
        ]

    def test_a_quantile_may_be_a_fraction_and_its_value_seconds(self, reader: Reader) -> None:
        assert reader.read(self.TEXT, self.SECONDS).lines == [
            'seconds{cmd="get",quantile="0.5"} 0.000001003',
            'seconds{cmd="get",quantile="0.999"} 0.002',
            'seconds_sum{cmd="get"} 4',
            'seconds_count{cmd="get"} 3',
        ]

    def test_a_family_may_have_some_sub_fields_only(self, reader: Reader) -> None:
        two = gauge(
            "two", "Help.", EverySubField(LATENCY, "quantile", SubFieldLabel.FRACTION, only=("p50", "p99"))
        )
        for text in ("p50=1,p99=2,p99.9=3", "p9=0,p99.9=3,p50=1,p=7,p99=2,p5=0"):
            read = reader.read(f"latency_percentiles_usec_get:{text}\n", two)
            assert read.lines == ['two{cmd="get",quantile="0.5"} 1', 'two{cmd="get",quantile="0.99"} 2']

    def test_the_joined_line_may_come_later(self, reader: Reader) -> None:
        turned = "".join(reversed(self.TEXT.splitlines(keepends=True)))
        assert reader.read(turned, self.USEC).lines == reader.read(self.TEXT, self.USEC).lines

    def test_what_is_not_there_is_not_joined(self, reader: Reader) -> None:
        text = "latency_percentiles_usec_get:p50=1\nlatency_percentiles_usec_set:p50=2\ncmdstat_set:calls=1\n"
        assert reader.read(text, self.USEC).lines == [
            'usec{cmd="get",quantile="50"} 1',
            'usec{cmd="set",quantile="50"} 2',
            'usec_count{cmd="set"} 1',
        ]

    def test_a_command_without_latency_has_no_summary(self, reader: Reader) -> None:
        assert reader.read("cmdstat_get:calls=3,usec=4\n", self.USEC).lines == []

    def test_with_percentiles_switched_off_sum_and_count_are_left(self, reader: Reader) -> None:
        reading = reader.read("cmdstat_get:calls=3,usec=4\nlatency_percentiles_usec_get:\n", self.USEC)
        assert (reading.lines, reading.invalid) == (['usec_sum{cmd="get"} 4', 'usec_count{cmd="get"} 3'], 0)

    @pytest.mark.parametrize(
        "sub", ["50=1", "px=1", "p=1", "p-1=1", "p1e2=1", "q50=1", "p50.=1", "p" + "9" * 40 + "=1"]
    )
    def test_a_percentile_of_another_form_is_counted(self, reader: Reader, sub: str) -> None:
        reading = reader.read(f"latency_percentiles_usec_get:{sub},p50=2\n", self.USEC)
        assert (reading.lines, reading.invalid) == (['usec{cmd="get",quantile="50"} 2'], 1)

    def test_the_longest_percentile_has_40_characters(self, reader: Reader) -> None:
        nines = "9" * 39
        reading = reader.read(f"latency_percentiles_usec_get:p{nines}=1\n", self.USEC)
        assert (reading.lines, reading.invalid) == ([f'usec{{cmd="get",quantile="{nines}"}} 1'], 0)

    def test_a_percentile_named_twice_counts_once(self, reader: Reader) -> None:
        assert reader.read("latency_percentiles_usec_get:p50=1,p50=2\n", self.USEC).lines == [
            'usec{cmd="get",quantile="50"} 1'
        ]

    def test_a_value_that_is_no_number_costs_no_other(self, reader: Reader) -> None:
        reading = reader.read("latency_percentiles_usec_get:p50=nan,p99=2\n", self.USEC)
        assert (reading.lines, reading.invalid) == (['usec{cmd="get",quantile="99"} 2'], 1)

    def test_sizes_are_written_out(self, reader: Reader) -> None:
        assert reader.read("db0_sizes:0=1,8K=2,1M=3,2G=4,1T=5\n", self.SIZE).lines == [
            'size{db="0",type="string",size="0"} 1',
            'size{db="0",type="string",size="8192"} 2',
            'size{db="0",type="string",size="1048576"} 3',
            'size{db="0",type="string",size="2147483648"} 4',
            'size{db="0",type="string",size="1099511627776"} 5',
        ]

    def test_sizes_that_a_server_has_run_together_are_counted(self, reader: Reader) -> None:
        # Redis 8.0.2 leaves a comma out after ZPOPMIN
        reading = reader.read("db0_sizes:0=18446744073709551615,1=12=2,8=2,1P=3,-1=1,K=1\n", self.SIZE)
        assert (reading.lines, reading.invalid) == (
            [
                'size{db="0",type="string",size="0"} 18446744073709551615',
                'size{db="0",type="string",size="8"} 2',
            ],
            4,
        )

    def test_a_name_may_be_taken_as_it_stands(self, reader: Reader) -> None:
        raw = gauge("raw", "Help.", EverySubField(LATENCY, "name"))
        assert reader.read('latency_percentiles_usec_get:p"=1\n', raw).lines == [
            r'raw{cmd="get",name="p\""} 1'
        ]

    def test_sub_fields_of_one_line_have_a_bound(self, reader: Reader) -> None:
        line = "latency_percentiles_usec_get:" + ",".join(f"p{n}=1" for n in range(300))
        reading = reader.read(line + "\n", self.USEC)
        assert (len(reading.lines), reading.invalid) == (256, 44)

    def test_sub_fields_of_all_lines_have_a_bound(self, reader: Reader) -> None:
        subs = ",".join(f"p{n}=1" for n in range(250))
        text = "".join(f"latency_percentiles_usec_c{n}:{subs}\n" for n in range(100))
        reading = reader.read(text, self.USEC)
        assert (len(reading.lines), reading.invalid) == (66 * 250, 34)


def test_a_page_of_everything_is_read_by_prometheus(reader: Reader) -> None:
    families = (field("x"), CALLS, KEYS, TestMasters.UP, TestEverySubField.USEC, TestEverySubField.SIZE)
    text = (
        'x:1\ncmdstat_a"\\\\b:calls=2,usec=3\nlatency_percentiles_usec_a"\\\\b:p50=1\ndb0:keys=1\n'
        "db0_sizes:8K=1\nmaster_link_status:up\n"
    )
    reading = reader.read_by(reader.plan(*families), text, labels=b'addr="redis://h:6379"', fill=2)
    read = [
        sample
        for family in text_string_to_metric_families("\n".join(reading.lines) + "\n")
        for sample in family.samples
    ]
    assert len(read) == len(reading.lines) == 9
    assert all(sample.labels["addr"] == "redis://h:6379" for sample in read)
