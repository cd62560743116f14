"""The forms of values: what is read as Go reads it, and what is refused with an example."""

from __future__ import annotations

import pytest

from exporter.node_allowance import Allowance
from exporter.options.endpoints import ROUTES
from exporter.options.values import (
    COUNT,
    COUNT_MAX,
    DURATION_OR_ZERO,
    INTEGER,
    INTERVAL,
    LANE_INTERVAL,
    ValueType,
    parse_allowance,
    parse_bool,
    parse_duration,
    parse_listen_address,
    parse_path,
    split_listen_address,
)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_go_words_for_true(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_go_words_for_false(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "yes", "on", "tRUE", " true"])
def test_other_words_are_no_booleans(text: str) -> None:
    with pytest.raises(ValueError, match="write true or false"):
        parse_bool(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("15s", 15),
        ("1m30s", 90),
        ("250ms", 0.25),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("2ns", 2e-9),
        ("-1s", -1),
    ],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5d", "1m 30s", ".s", "5S", "1e3s", "5s\n", "٣s"])
def test_what_is_no_go_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9121", "", 9121),
        ("127.0.0.1:9121", "127.0.0.1", 9121),
        ("[::1]:9121", "::1", 9121),
        ("localhost:0", "localhost", 0),
    ],
)
def test_listen_address(text: str, host: str, port: int) -> None:
    assert split_listen_address(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9121",
        "localhost",
        "::1:9121",
        ":65536",
        ":http",
        "http://localhost:9121",
        ":9121/",
        "a..b:1",
        ".:1",
        "..:1",
        f"{'x' * 64}:1",
        f"{'x' * 300}.test:1",
        f"{'x.' * 127}x:1",
    ],
)
def test_bad_listen_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"write \[host\]:port, such as :9121"):
        split_listen_address(text)


@pytest.mark.parametrize("text", ["unix:/run/redpoll.sock", "fd://", "fd://pages", "127.0.0.1:9121"])
def test_what_may_be_listened_on(text: str) -> None:
    assert parse_listen_address(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unix:", "whole path of the socket, such as unix:/run/redpoll.sock"),
        ("unix:redpoll.sock", "whole path of the socket"),
        (f"unix:/{'x' * 107}", "at most 107 bytes"),
        (f"unix:/{'é' * 54}", "at most 107 bytes"),
        ("fd://a:b", "FileDescriptorName"),
        ("fd:", "unix:/run/x.sock, or fd://"),
    ],
)
def test_what_cannot_be_listened_on(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_listen_address(text)


@pytest.mark.parametrize("path", [*(route.path for route in ROUTES), "/health/", "/-/anything"])
def test_the_telemetry_path_is_none_of_the_other_endpoints(path: str) -> None:
    with pytest.raises(ValueError, match="such as /metrics"):
        parse_path(path)


@pytest.mark.parametrize(
    "path", ["metrics", "/a b", "/a?b", "/a#b", "/{a}", "//a", "/.", "/../health", "/a/./b"]
)
def test_bad_telemetry_path(path: str) -> None:
    with pytest.raises(ValueError, match="write a path that begins with /"):
        parse_path(path)


@pytest.mark.parametrize(
    "text", ["100000000000000h", "87601h", "9" * 90 + "s", "-100000000000000h", "1h" * 40 + "9" * 15 + "h"]
)
def test_a_duration_is_bounded(text: str) -> None:
    with pytest.raises(ValueError, match="the most is 87600h, which is ten years"):
        parse_duration(text)


@pytest.mark.parametrize("form", [DURATION_OR_ZERO, INTERVAL, LANE_INTERVAL, COUNT, INTEGER])
@pytest.mark.parametrize(
    "text",
    ["9" * 5000, "9" * 10**6 + "s", "-" + "9" * 5000, "1e5000", "0x10", "٣", "1_000", "inf", "nan", "∞s"],
)
def test_a_number_that_is_none_is_said_in_a_short_line(form: ValueType, text: str) -> None:
    with pytest.raises(ValueError, match=r"write |the most |a duration ") as caught:
        form.parse(text)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(("form", "most"), [(COUNT, COUNT_MAX), (INTEGER, COUNT_MAX)])
def test_a_count_is_bounded(form: ValueType, most: int) -> None:
    assert form.parse(str(most)) == most
    with pytest.raises(ValueError, match=f"the most is {most}"):
        form.parse(str(most + 1))


def test_an_empty_list_is_the_rule_of_what_is_near() -> None:
    assert parse_allowance("") is None
    assert parse_allowance(" , ") is None


def test_a_list_holds_networks_addresses_and_globs() -> None:
    allowance = parse_allowance("10.0.0.0/8, 10.1.2.3/8,2001:db8::1,*.example,seed")
    assert isinstance(allowance, Allowance)
    assert [str(network) for network in allowance.networks] == ["10.0.0.0/8", "10.0.0.0/8", "2001:db8::1/128"]
    assert allowance.globs == ("*.example", "seed")


@pytest.mark.parametrize(
    "item",
    [
        "10.0.0.0/33",
        "10.*",
        "127.1",
        "2130706433",
        "a b",
        "*.*",
        "redis://h",
        "http://x/",
        "0x7f.1",
        "é.test",
    ],
)
def test_what_is_none_of_these_is_refused(item: str) -> None:
    with pytest.raises(ValueError, match="is not a network, address or host name: write"):
        parse_allowance(item)


@pytest.mark.parametrize(
    "item",
    ["169.254.0.0/16", "169.254.169.254", "fe80::/10", "fe80::1", "64:ff9b::a9fe:0/112", "2002:a9fe::/32"],
)
def test_link_local_networks_cannot_be_allowed(item: str) -> None:
    with pytest.raises(ValueError, match="never dialled"):
        parse_allowance(item)
