"""INFO to exposition text and CLIENT LIST to rows, in one call."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import read_clients, render_info
from exporter.errors import ConfigError, ProtocolError, TargetError, UsageError
from tests.replay import DATA

INFO = "redis_version:7.0.15\r\nconnected_clients:12\r\ncmdstat_get:calls=3,usec=6,usec_per_call=2.00\r\n"
TEXTS = sorted(DATA.glob("*/info_all.txt"))


def values(text: str) -> dict[str, float]:
    """Value by series, with the labels as they stand."""
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


def test_values_of_all_lanes_are_there_with_the_labels() -> None:
    found = values(render_info(INFO, {"addr": "redis://h:6379", "note": 'a "b"\n'}))
    assert found[r'redis_connected_clients{addr="redis://h:6379",note="a \"b\"\n"}'] == 12
    assert found[r'redis_commands_total{addr="redis://h:6379",note="a \"b\"\n",cmd="get"}'] == 3


def test_without_labels_there_are_no_braces() -> None:
    assert values(render_info(INFO))["redis_connected_clients"] == 12


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.parent.name)
def test_recorded_servers_give_a_valid_page(file: object) -> None:
    text = render_info(file.read_bytes(), {"addr": "h"})  # type: ignore[attr-defined]
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(families) > 60
    assert all(family.documentation and family.type != "unknown" for family in families.values())
    heads = [line for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(heads) == len(set(heads))


def test_a_label_of_the_family_wins() -> None:
    text = render_info("redis_version:7.0.15\r\nrole:master\r\n", {"role": "mine"})
    assert 'redis_instance_info{role="master",' in text


def test_options_are_those_of_the_command() -> None:
    text = render_info(INFO, options={"namespace": "cache", "metrics.allow": "connected_clients"})
    assert values(text) == {"cache_connected_clients": 12}
    with pytest.raises(UsageError, match="unknown flag --namespac: did you mean --namespace"):
        render_info(INFO, options={"namespac": "cache"})


def test_a_field_that_no_table_has_gets_its_help_and_type() -> None:
    text = render_info(f"{INFO}brand_new_field:7\r\n", options={"export-unknown-info": True})
    assert "# HELP redis_info_brand_new_field " in text
    assert "# TYPE redis_info_brand_new_field untyped\nredis_info_brand_new_field 7\n" in text


def test_each_call_has_room_for_unknown_fields() -> None:
    for number in range(300):
        text = render_info(f"{INFO}field_{number}:7\r\n", options={"export-unknown-info": True})
    assert [line for line in text.splitlines() if "field_" in line and not line.startswith("# HELP")] == [
        "# TYPE redis_info_field_299 untyped", "redis_info_field_299 7",
    ]  # fmt: skip


def test_the_options_of_labels_and_samples_are_obeyed() -> None:
    one: dict[str, str | int | bool] = {"metrics.allow": "connected_clients"}
    assert values(render_info(INFO, {"a": "x" * 9}, {**one, "max-label-length": 4})) == {
        'redis_connected_clients{a="xxxx"}': 12
    }
    before = time.time_ns() // 1_000_000
    line = render_info(INFO, options={**one, "export-timestamps": True}).splitlines()[-1]
    name, value, at_ms = line.split(" ")
    assert (name, value) == ("redis_connected_clients", "12")
    assert before <= int(at_ms) <= time.time_ns() // 1_000_000 + 1
    with_role = {**one, "append-instance-role-label": True}
    assert values(render_info(f"{INFO}role:slave\r\n", {"a": "x", "instance_role": "y"}, with_role)) == {
        'redis_connected_clients{a="x",instance_role="slave"}': 12
    }


def test_the_limits_of_series_are_obeyed() -> None:
    text = INFO + "".join(f"cmdstat_c{number}:calls=1,usec=1\r\n" for number in range(50))
    assert len(values(render_info(text))) > 50
    assert len(values(render_info(text, options={"max-series-per-target": 5}))) == 5
    limited = values(render_info(text, options={"max-series-per-family": 3}))
    assert sum(series.startswith("redis_commands_total{") for series in limited) == 3


@pytest.mark.parametrize(("labels", "text"), [({"a": 1}, "'a' is of the type int"), ("abc", "no dictionary")])
def test_labels_that_are_no_texts_are_refused(labels: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        render_info(INFO, labels)


@pytest.mark.parametrize("text", ["", "hello", b"\x00\xff", "memory:1"])
def test_another_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProtocolError, match="no field"):
        render_info(text)
    assert issubclass(ProtocolError, TargetError)


@pytest.mark.parametrize("name", ["", "a-b", "1a", "__name__", "le", "quantile", "a\n"])
def test_a_label_name_that_is_not_valid_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a valid label name"):
        render_info(INFO, {name: "x"})


def test_text_may_hold_what_is_no_utf_8() -> None:
    found = values(render_info(b"redis_version:7\r\ncmdstat_\xff:calls=1,usec=1\r\n"))
    assert found['redis_commands_total{cmd="\ufffd"}'] == 1
    assert "redis_connected_clients 12" in render_info(INFO + "x:\ud800\r\n")


def test_threads_may_render_at_once() -> None:
    texts = [INFO.replace("12", str(number)) for number in range(200)]
    with ThreadPoolExecutor(4) as threads:
        pages = list(threads.map(render_info, texts))
    assert [values(page)["redis_connected_clients"] for page in pages] == list(range(200))


def test_clients_are_rows() -> None:
    text = (
        "id=7 addr=/run/a b:0 laddr=/run/a b:0 fd=8 name= age=31 flags=U\nid=8 addr=10.0.0.9:50112 "
        "fd=9 name=worker\n"
    )
    first, second = read_clients(text)
    assert (first["id"], first["addr"], first["name"], first["flags"]) == ("7", "/run/a b:0", "", "U")
    assert second == {"id": "8", "addr": "10.0.0.9:50112", "fd": "9", "name": "worker"}
    assert read_clients(b"") == []
    assert read_clients(b"id=1 addr=h:1 fd=8 name=\xff\n")[0]["name"] == "\ufffd"


#: each reading is by a new plan: it takes the lock for each of its keys
FORKS = """
import os, signal, threading
from exporter import render_info
from exporter.library import replies

INFO = "redis_version:7\\r\\n"
LARGE = INFO + "".join(f"cmdstat_{i}_{'x' * 200}:calls=1\\r\\n" for i in range(16000))
LARGE = LARGE.encode()
reading = threading.Event()
stopping = threading.Event()

def read():
    while not stopping.is_set():
        replies._prepare.cache_clear()
        replies._prepare(())
        reading.set()
        render_info(LARGE)

thread = threading.Thread(target=read)
thread.start()
failed = 0
for _ in range(15):
    reading.wait()
    reading.clear()
    if (pid := os.fork()) == 0:
        signal.alarm(40)
        text = render_info(INFO + "connected_clients:12\\r\\ndb77:keys=1\\r\\n")
        os._exit("redis_connected_clients 12" not in text)
    failed += os.waitpid(pid, 0)[1] != 0
    if failed:
        break
stopping.set()
thread.join()
print(failed)
"""


def test_a_fork_while_a_thread_reads_leaves_no_lock_in_the_child() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], timeout=100, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"
