"""What is shown of a server's text: never a secret of its target, in whatever form the server repeats it."""

from __future__ import annotations

import os
import time
from base64 import b64encode
from urllib.parse import quote

import pytest

from exporter.redaction import NOTHING, SHOWN_MAX, Redaction, redaction_of

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
    for form in (given.decode("utf-8", "replace"), given.decode("latin-1"), password, quote(given), str(given)[2:-1]):
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
