"""Two pages, series by series."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.commands import compare as compare_command
from exporter.commands.compare import Series, compare, fetch, read_page, report, run
from exporter.errors import RequestError
from tests.recording_server import RecordingWeb
from tests.servers import HOST, ScriptedServer, drips

OLD = """\
# HELP redis_up Up.
# TYPE redis_up gauge
redis_up 1
# TYPE redis_calls_total counter
redis_calls_total{cmd="get"} 100
redis_calls_total{cmd="set",empty=""} 5
# TYPE redis_seconds histogram
redis_seconds_bucket{le="1"} 2
redis_seconds_bucket{le="+Inf"} 3
redis_seconds_sum 1.5
redis_seconds_count 3
"""
NEW = (
    OLD.replace("redis_calls_total counter", "redis_calls_total gauge")
    .replace(" 100", " 104")
    .replace("redis_up 1", 'redis_up{addr="h"} 1')
)


class TestReading:
    def test_every_form_of_a_sample(self) -> None:
        page = read_page(
            'a 1\na_b:c{x="1",y="q\\"\\\\\\n}{",} -Inf 1795380000250\n\n# a comment\nd{} NaN\ne{ z = "1" } '
            "2\n"
        )
        assert list(page.values) == [
            Series("a", ()),
            Series("a_b:c", (("x", "1"), ("y", 'q"\\\n}{'))),
            Series("d", ()),
            Series("e", (("z", "1"),)),
        ]
        assert page.values[Series("a", ())] == 1

    def test_parts_of_a_histogram_are_of_its_family(self) -> None:
        page = read_page(OLD)
        assert {
            page.families[series] for series in page.values if series.name.startswith("redis_seconds")
        } == {"redis_seconds"}

    def test_a_gauge_whose_name_ends_in_count_is_its_own(self) -> None:
        page = read_page("# TYPE key gauge\nkey 1\n# TYPE key_count gauge\nkey_count 2\n")
        assert page.families[Series("key_count", ())] == "key_count"

    def test_of_a_double_the_first_counts(self) -> None:
        page = read_page("a 1\na 2\n")
        assert page.values == {Series("a", ()): 1}
        assert page.doubles == 1

    def test_a_line_ends_with_a_line_feed_and_nothing_else(self) -> None:
        page = read_page('a{x="1\u2028\x85\x0c2"} 1\r\n  b 2\n')
        assert list(page.values) == [Series("a", (("x", "1\u2028\x85\x0c2"),)), Series("b", ())]

    @pytest.mark.parametrize(
        ("text", "message"), [("ok 1\n{} 2\n", "line 2 is not a sample"), ("a b\n", "line 1 has no number")]
    )
    def test_what_is_no_page(self, text: str, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            read_page(text)


class TestComparing:
    def test_a_page_with_itself(self) -> None:
        same = compare(OLD, OLD)
        assert (same.only_old, same.only_new, same.types, same.values) == ([], [], [], [])
        assert same.nothing_lost

    def test_what_is_only_here_or_there(self) -> None:
        found = compare(OLD, NEW)
        assert found.only_old == [Series("redis_up", ())]
        assert found.only_new == [Series("redis_up", (("addr", "h"),))]
        assert not found.nothing_lost

    def test_labels_may_be_left_out(self) -> None:
        found = compare(OLD, NEW, ignored_labels=("addr",))
        assert (found.only_old, found.only_new) == ([], [])

    def test_types_that_differ(self) -> None:
        assert compare(OLD, NEW).types == [("redis_calls_total", "counter", "gauge")]

    def test_a_type_that_is_not_told_is_none(self) -> None:
        assert compare("# TYPE a counter\na 1\n", "a 1\n").types == [("a", "counter", "untyped")]
        assert compare("a 1\n", "# TYPE a untyped\na 1\n").types == []

    def test_a_type_without_series_is_not_compared(self) -> None:
        assert compare("# TYPE a counter\nb 1\n", "# TYPE a gauge\na 1\nb 1\n").nothing_lost

    def test_values_that_differ(self) -> None:
        series = Series("redis_calls_total", (("cmd", "get"),))
        assert compare(OLD, NEW).values == [(series, 100, 104)]
        assert compare(OLD, NEW, tolerance=0.05).values == []

    def test_families_may_be_left_out(self) -> None:
        found = compare(OLD, NEW, ignored=("redis_up", "redis_ca*"))
        assert found.nothing_lost
        assert found.values == []

    def test_nan_is_nan(self) -> None:
        assert compare("a NaN\n", "a NaN\n").values == []
        assert len(compare("a NaN\n", "a 1\n").values) == 1

    def test_more_series_are_no_loss(self) -> None:
        assert compare(OLD, OLD + "more 1\n").nothing_lost


class TestReport:
    def test_tells_all_of_it_by_family(self) -> None:
        many = "# TYPE m gauge\n" + "".join(f'm{{n="{number}"}} 1\n' for number in range(7))
        lines = list(report(compare(OLD + many, NEW)))
        assert lines[0] == "OLD: 14 series in 4 families"
        assert "\nonly in OLD: 8 series" in lines
        assert lines[lines.index("  m (gauge)") + 1 :][:6] == [
            *(f'    m{{n="{number}"}} 1' for number in range(5)),
            "    and 2 more",
        ]
        assert "  redis_calls_total: counter in OLD, gauge in NEW" in lines
        assert lines[lines.index("\nvalues that differ, OLD and NEW: 1 series") + 1 :][:2] == [
            "  redis_calls_total (counter)",
            '    redis_calls_total{cmd="get"} 100  104',
        ]
        assert lines[-1] == "\nNEW lacks something that OLD has"

    def test_tells_what_fell_together(self) -> None:
        page = 'a{addr="x"} 1\na{addr="y"} 1\n'
        lines = list(report(compare(page, page, ignored_labels=("addr",))))
        assert lines[1] == "  1 more samples repeat a series; the first sample counts"


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path: Path) -> list[str]:
        for name, text in (("old", OLD), ("new", NEW)):
            (tmp_path / name).write_text(text)
        return [str(tmp_path / "old"), str(tmp_path / "new")]

    def test_ends_with_one_if_something_is_lost(
        self, files: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(files) == 1
        assert "NEW lacks something" in capsys.readouterr().out
        assert run([files[0], files[0]]) == 0
        assert run([*files, "--ignore=other,redis_calls*", "--ignore-label=alias, addr"]) == 0
        assert run([*files, "--ignore=redis_calls*", "--ignore-label=alias", "--ignore-label=addr"]) == 0

    def test_is_a_command_of_the_program(self, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", *files], {}) == 1
        assert main(["compare", files[0], files[0], "--tolerance=0.05"], {}) == 0
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        ("argv", "code", "message"),
        [
            ([], 2, "the following arguments are required: OLD, NEW"),
            (["old"], 2, "redis_exporter: compare: the following arguments are required: NEW: see redis_exp"),
            *(
                (["old", "new", f"--tolerance={share}"], 2, f"{share} is no share: write one such as 0.05")
                for share in ("much", "nan", "-1", "inf", "-0.1")
            ),
            (["old", "new", "--jso"], 2, "unrecognized arguments: --jso"),
            (["-", "-"], 2, "only one page can come from standard input"),
            (["/no/such/file", "-"], 1, "/no/such/file: No such file or directory"),
        ],
    )
    def test_mistakes_are_told_on_one_line(
        self, argv: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["compare", *argv], {}) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("redis_exporter: ")
        assert message in err
        assert err.count("\n") == 1

    @pytest.mark.parametrize(
        ("text", "message"), [("", "there is no series on that page"), ("<html>\n", "line 1 is not a sample")]
    )
    def test_what_is_no_page_is_no_page_without_differences(
        self, files: list[str], tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "empty").write_text(text)
        assert main(["compare", str(tmp_path / "empty"), files[1]], {}) == 1
        assert f"redis_exporter: OLD: {message}" in capsys.readouterr().err

    def test_as_json(self, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        run([*files, "--json"])
        told = json.loads(capsys.readouterr().out)
        assert told["only_old"] == ["redis_up"]
        assert told["types"] == [{"family": "redis_calls_total", "old": "counter", "new": "gauge"}]
        assert told["values"] == [{"series": 'redis_calls_total{cmd="get"}', "old": 100, "new": 104}]
        assert told["nothing_lost"] is False

    def test_json_holds_no_word_that_json_does_not_know(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "old").write_text("a NaN\n")
        (tmp_path / "new").write_text("a 1\n")
        run([str(tmp_path / "old"), str(tmp_path / "new"), "--json"])
        assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["values"] == [
            {"series": "a", "old": "nan", "new": 1}
        ]

    def test_by_http_with_a_password(self) -> None:
        asked: list[str] = []

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"{self.path} {self.headers['Authorization']}")
                self.send_response(200 if self.path == "/metrics" else 404)
                self.end_headers()
                self.wfile.write(OLD.encode())

            def log_message(self, *args: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Answers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            place = f"127.0.0.1:{server.server_port}"
            assert fetch(f"http://user:p%40ss@{place}/metrics") == OLD
            with pytest.raises(RequestError, match=f"^{place}: the answer is 404 Not Found$"):
                fetch(f"http://{place}/other")
            server.shutdown()
        assert asked == ["/metrics Basic dXNlcjpwQHNz", "/other None"]

    def test_a_redirection_takes_no_password_along(self) -> None:
        with RecordingWeb([], host="127.1.0.1") as foreign, RecordingWeb([], foreign.url) as web:
            with pytest.raises(RequestError, match=r"302 Found: write the URL that it leads to$"):
                fetch(web.url.replace("//", "//user:s3cret@"))
            assert foreign.sent == []
            assert fetch(web.url) == "[]"
            assert "Authorization" in web.sent[0]
            assert "Authorization" not in foreign.sent[0]

    def test_an_answer_that_does_not_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each byte is there in time, but not all of them."""
        monkeypatch.setattr(compare_command, "TIMEOUT_S", 0.4)
        server = ScriptedServer(drips(b"HTTP/1.1 200 OK\r\n\r\n", b"a 1\n"))
        try:
            with pytest.raises(RequestError, match=r":\d+: no whole answer within 0.4 s$"):
                fetch(f"http://{HOST}:{server.port}/")
        finally:
            server.close()

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("/no/such/file", "No such file"),
            ("ftp://h/x", "write http:// or https://"),
            ("http://user:s3cret@127.0.0.1:1/metrics", "127.0.0.1:1: .*refused"),
        ],
    )
    def test_a_page_that_cannot_be_had(self, source: str, message: str) -> None:
        with pytest.raises(RequestError, match=message) as caught:
            fetch(source)
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize(
        "source",
        [
            "http://127.0.0.1:x", "http://a b/", "http://a..b/", "http://", "http://[::1",
            "http://127.0.0.1:1/\u00e9",
            "http://127.0.0.1:1/\udcff",
            f"http://{'x' * 64}.test/", "http://u:s3cret\udcff@127.0.0.1:1/", "/a\0b",
        ],
    )  # fmt: skip
    def test_a_source_that_is_none_is_said_in_one_line(self, source: str) -> None:
        with pytest.raises(RequestError) as caught:
            fetch(source)
        assert "s3cret" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_an_answer_that_is_not_http_is_said_in_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer() -> None:
                client, _ = server.accept()
                with client:
                    client.recv(1000)
                    client.sendall(b"+PONG\x1b[31m\r\n")

            threading.Thread(target=answer, daemon=True).start()
            with pytest.raises(RequestError, match="PONG") as caught:
                fetch(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert "\x1b" not in str(caught.value)
