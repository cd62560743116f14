"""What is shown of a server's text: never a secret of its target, in whatever form the server repeats it."""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from urllib.parse import quote

import pytest

from exporter.app.garbage import old_objects_left_alone
from exporter.targets.redaction import NOTHING, SHOWN_MAX, Redaction, redaction_of

PASSWORD = "s3cret/of mine\"'\\"


def clean(text: str, password: str = PASSWORD, user: str = "watcher") -> str:
    return Redaction(user, password).clean(text)


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        PASSWORD.upper(),
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        quote(PASSWORD, safe="").lower(),
        PASSWORD.replace("\\", "\\\\").replace('"', '\\"'),  # as Redis' own log has it
        PASSWORD.encode().hex(),
        b64encode(PASSWORD.encode()).decode(),
        b64encode(f"watcher:{PASSWORD}".encode()).decode(),
        b64encode(f":{PASSWORD}".encode()).decode(),
    ],
)
def test_a_password_is_masked_in_every_form(form: str) -> None:
    shown = clean(f"ERR unknown command 'AUTH', with args beginning with: '{form}' and more")
    assert shown.startswith("ERR unknown command 'AUTH', with args beginning with: '***")
    assert shown.endswith("' and more")
    assert form[:10] not in shown


@pytest.mark.parametrize("password", ["p\udce4ssword", "\udcff\udcfe\udcfd\udcfc"])
def test_a_password_that_is_no_utf_8_is_masked_too(password: str) -> None:
    given = os.fsencode(password)
    for form in (
        given.decode("utf-8", "replace"),
        given.decode("latin-1"),
        password,
        quote(given),
        str(given)[2:-1],
    ):
        assert clean(f"no: {form}.", password) == "no: ***."


@pytest.mark.parametrize("kept", [16, 20, 128, 299])
def test_a_long_password_is_masked_where_the_server_cut_it(kept: int) -> None:
    password = "".join(chr(97 + number * 7 % 26) for number in range(300))
    assert clean(f"args: '{password[:kept]}' 'next'", password) == "args: '***' 'next'"


def test_a_text_that_is_cut_shows_no_beginning_of_a_secret() -> None:
    password = "0123456789abcdef" * 4
    for length in range(4096 - 80, 4096 + 10):
        shown = clean("ERR " + (password + " ") * 5 + "x" * length + password, password)
        assert "0123" not in shown
        assert len(shown) <= SHOWN_MAX


def test_masks_that_make_a_text_short_show_nothing_of_what_was_cut() -> None:
    password = "0123456789abcdef" * 20
    assert "0123" not in clean(password * 100, password)


@pytest.mark.parametrize(
    ("password", "text", "shown"),
    [
        ("", "ERR a b c", "ERR a b c"),
        ("a", "ERR a bad answer", "ERR *** bad answer"),
        ("a", "ERR args: 'a' \"a\"", "ERR args: '***' \"***\""),
        ("ok", "ERR token ok", "ERR token ***"),
        ("***", "ERR ***", "ERR ***"),
        (".", "ERR no. Really.", "ERR no. Really."),
        ("é", "ERR café é", "ERR café ***"),
    ],
)
def test_a_short_password_is_masked_where_it_stands_alone(password: str, text: str, shown: str) -> None:
    assert clean(text, password) == shown


def test_one_secret_within_another_is_masked_with_it() -> None:
    assert clean("kiwifruit kiwi", "kiwi") == "***fruit ***"
    assert clean("kiwifruit kiwi", "kiwifruit") == "*** kiwi"


def test_a_user_and_password_in_an_address_are_masked_whosever_they_are() -> None:
    assert clean("MOVED 1 redis://u:other@h:1") == "MOVED 1 redis://***@h:1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://u:p@w@h:1 and rediss://:q@h", "redis://***@h:1 and rediss://***@h"),
        ("x@redis://h:1", "x@redis://h:1"),
        ("redis://@h", "redis://***@h"),
        ("'redis://u:p' @h", "'redis://u:p' @h"),
        ("a://b://c@h", "a://***@h"),
        ("user@host, see redis://h", "user@host, see redis://h"),
    ],
)
def test_of_an_address_all_up_to_the_last_at_sign_is_masked(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize("text", ["a://" * 1024 + " @", "a" * 4000 + "://", "a://b " * 600 + "@"])
def test_what_looks_like_many_addresses_costs_no_more_than_other_text(text: str) -> None:
    began_s = time.thread_time()
    with old_objects_left_alone():  # those of all tests before
        for _ in range(50):
            clean(text)
    assert time.thread_time() - began_s < 0.5  # 1 s and more where each beginning is followed to the end


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m\r\nb\x00", "a\\x1b[31m\\x0d\\nb\\x00"),
        ("a\udce4b", "a\ufffdb"),
        ("x" * 1000, "x" * (SHOWN_MAX - 1) + "…"),
        ("\u202egnp", "\\u202egnp"),
    ],
)
def test_what_is_shown_is_one_line_of_valid_utf_8_and_short(text: str, shown: str) -> None:
    assert NOTHING.clean(text) == shown


def test_a_text_of_megabytes_is_cut_before_it_is_looked_at() -> None:
    assert len(clean("x" * 16_000_000)) == SHOWN_MAX


def test_targets_that_share_a_password_share_what_masks_it() -> None:
    assert redaction_of("u", "p") is redaction_of("u", "p")
    assert redaction_of("u", "") is NOTHING


def in_every_way(password: str) -> list[str]:
    """The password with each of its characters escaped, or some."""
    data = password.encode()
    units = [
        f"{number:04x}" for number in memoryview(password.encode("utf-16-be")).cast("B").tolist()
    ]  # pairs of bytes
    units = [units[at][2:] + units[at + 1][2:] for at in range(0, len(units), 2)]
    return [
        "".join(f"%{byte:02x}" for byte in data),
        "".join(f"%{byte:02X}" for byte in data),
        "".join(f"%25{byte:02X}" for byte in data),
        "".join(f"\\x{byte:02x}" for byte in data),
        "".join(f"\\\\x{byte:02X}" for byte in data),
        "".join(f"\\u{unit}" for unit in units),
        "".join(f"\\\\u{unit.upper()}" for unit in units),
        quote(password.replace(" ", "+"), safe="+"),
        *(
            "".join(
                f"%{byte:02x}" if number % 3 == each else quote(bytes([byte]))
                for number, byte in enumerate(data)
            )
            for each in range(3)
        ),
        json.dumps(password)[1:-1],
        json.dumps(json.dumps(password))[3:-3],
        repr(password)[1:-1],
    ]


@pytest.mark.parametrize(
    "password",
    [
        "s3cr3tPassw0rd", "with blank+plus", "ünïcödé", "50%25x41", "back\\x41\\u0041\\n", "em\U0001f600ji",
        'q"uo\'te',
        "a/b?c#d",
        "abcd",
        "x" * 15 + "%" * 30,
    ],
)  # fmt: skip
def test_escapes_of_any_of_its_characters_hide_no_password(password: str) -> None:
    for form in in_every_way(password):
        assert clean(f"ERR '{form}' and more", password) == "ERR '***' and more", form


@pytest.mark.parametrize("password", ["a1c", "xy"])
def test_escapes_of_a_short_password_are_masked(password: str) -> None:
    for form in in_every_way(password)[:2] + in_every_way(password)[3:4]:
        assert clean(f"ERR '{form}' and more", password) == "ERR '***' and more", form


def test_texts_with_escapes_stay_as_they_are() -> None:
    for text in ("ERR 100%25 of C:\\new\\table a+b", "%73%33", "\\x00\\u0000 \\", "é\\xe9 %"):
        assert clean(text, "s3cr3tPassw0rd") == text


def test_a_long_password_that_is_escaped_is_masked_where_the_server_cut_it() -> None:
    password = "".join(chr(97 + number * 7 % 26) for number in range(300))
    for kept in (16, 100, 299):
        assert (
            clean(f"'{''.join(f'%{ord(sign):02x}' for sign in password[:kept])}' 'next'", password)
            == "'***' 'next'"
        )


@pytest.mark.parametrize("text", [
    "%25" * 2000, "\\" * 5000, "\\u" * 3000, "%61" * 2000, "aaaa" * 1500, "\\ud83d" * 900, "+" * 5000,
    "é+" * 2500,
])  # fmt: skip
def test_escapes_cost_a_bounded_time(text: str) -> None:
    redaction = Redaction("u", "a" * 60_000)
    began_s = time.thread_time()
    with old_objects_left_alone():  # those of all tests before
        redaction.clean(text)
    assert time.thread_time() - began_s < 0.1
