"""Values of options as `--print-config` and errors show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.masks import mask, mask_addresses

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://h:6379/2", "redis://h:6379/2"),
        ("redis://u:s3cret@h:6379/2", "redis://***@h:6379/2"),
        ("redis://a,rediss://:s3,cret@b,h", "redis://a,rediss://***@b,h"),
        ("s3cret@h", "***@h"),
        ("redis://u:s3@cret/?#s3cret@h", "redis://***@h"),
        ("redis://h?password=s3cret", "redis://h?password=***"),
        ("redis://h:6379/2?user=s3cret&password=s3cret,s3cret", "redis://h:6379/2?user=***&password=***"),
        ("redis://h?s3cret", "redis://h?***"),
        ("redis://h?a=s3cret;b=s3cret#s3cret", "redis://h?a=***&b=***"),
        ("redis://h#s3cret", "redis://h#***"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        ("unix:///run/redis.sock?db=2&password=s3cret", "unix:///run/redis.sock?db=***&password=***"),
        ("redis://h\n\x1b[2J", "redis://h\\n\\x1b[2J"),
        ("redis://\udcff:s3cret\udcff@h\udcff", "redis://***@h\ufffd"),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    assert mask_addresses(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/etc/redis/passwords.json", "/etc/redis/passwords.json"),
        ("15s", "15s"),
        ("user@example.org", "user@example.org"),
        ("https://u:s3cret@h/x?token=s3cret&page=2", "https://***@h/x?token=***&page=2"),
        ("h?password=s3cret&API_KEY=s3cret&auth-token=s3cret", "h?password=***&API_KEY=***&auth-token=***"),
        ("db0=key,db1=monkey=2", "db0=key,db1=monkey=2"),
        ("a\nb", "a\\nb"),
    ],
)
def test_other_values(text: str, shown: str) -> None:
    assert mask(text) == shown


@given(
    scheme=st.sampled_from(["redis://", "unix://", "REDISS://", "", "http://"]),
    before=st.text("ab:/?#%,; \n\udcff", max_size=6),
    after=st.text("ab:/?#%,; \n\udcff", max_size=6),
    end=st.sampled_from(["@h", "@h:1/2", "@"]),
)
def test_userinfo_is_masked_whatever_stands_around_it(scheme: str, before: str, after: str, end: str) -> None:
    shown = mask_addresses(f"redis://first,{scheme}{before}{SECRET}{after}{end}")
    assert SECRET not in shown
    shown.encode()


@given(
    st.sampled_from("?&;"),
    st.sampled_from(["password", "token", "user", "x"]),
    st.text("ab:/#%, \n\udcff", max_size=6),
)
def test_values_of_a_query_are_masked(mark: str, name: str, rest: str) -> None:
    assert SECRET not in mask_addresses(f"redis://h?a=1{mark}{name}={SECRET}{rest}")
