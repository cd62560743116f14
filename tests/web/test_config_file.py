"""The web configuration file: what the exporter-toolkit takes is taken, and each fault has its line."""

from __future__ import annotations

import os
from pathlib import Path

import bcrypt
import pytest

from exporter.errors import ConfigError
from exporter.files import FileLimits
from exporter.web.config_file import USERS_MAX, WebConfig, read_web_config
from exporter.web.token_bucket import RateLimit

#: with a salt that is always the same: tests have the hash in their names, and each worker collects them
HASH = bcrypt.hashpw(b"pw", b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()


def read(folder: Path, text: str | bytes) -> WebConfig:
    file = folder / "web.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_web_config(str(file))


def faults(folder: Path, text: str | bytes) -> list[str]:
    """Without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


class TestGoodFiles:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "# nothing\n",
            "{}",
            "tls_server_config: {}",
            "basic_auth_users:\n",
            "http_server_config:\n  http2:\n",
        ],
    )
    def test_one_may_say_nothing(self, tmp_path: Path, text: str) -> None:
        assert read(tmp_path, text) == WebConfig()

    def test_all_of_it(self, tmp_path: Path) -> None:
        found = read(
            tmp_path,
            f"""
tls_server_config:
  cert_file: server.crt
  key_file: server.key
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000; includeSubDomains
    X-Frame-Options: deny
basic_auth_users:
  alice: {HASH}
  bob: {HASH}
rate_limit:
  interval: 250ms
  burst: 20
""",
        )
        assert found.tls is not None
        assert found.headers == {
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "X-Frame-Options": "deny",
        }
        assert found.users == {"alice": HASH, "bob": HASH}
        assert found.rate == RateLimit(0.25, 20)
        assert found.notes == ()
        assert HASH not in repr(found)

    def test_every_header_that_may_be_set(self, tmp_path: Path) -> None:
        found = read(
            tmp_path,
            """
http_server_config:
  headers:
    X-Frame-Options: sameorigin
    Strict-Transport-Security: max-age=60
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 1
    Content-Security-Policy: "default-src 'self' *.example.net"
""",
        )
        assert sorted(found.headers) == [
            "Content-Security-Policy", "Strict-Transport-Security", "X-Content-Type-Options",
            "X-Frame-Options", "X-XSS-Protection",
        ]  # fmt: skip
        assert found.headers["X-XSS-Protection"] == "1"

    def test_a_blank_header_is_none(self, tmp_path: Path) -> None:
        text = "http_server_config: {headers: {Content-Security-Policy: '', X-XSS-Protection: ' '}}"
        assert read(tmp_path, text).headers == {}

    @pytest.mark.parametrize("text", ["{interval: 0, burst: 0}", "{}", "{burst: 5}", "{interval: 0s}"])
    def test_without_an_interval_there_is_no_rate_limit(self, tmp_path: Path, text: str) -> None:
        assert read(tmp_path, f"rate_limit: {text}").rate is None

    def test_http_2_is_noted_where_it_is_asked_for(self, tmp_path: Path) -> None:
        [note] = read(tmp_path, "http_server_config:\n  http2: true\n").notes
        assert note == (
            f"{tmp_path}/web.yml, line 2: http_server_config: http2: this exporter speaks HTTP/1.1, which "
            f"every client does too"
        )

    def test_a_byte_order_mark_and_other_ends_of_lines_do_no_harm(self, tmp_path: Path) -> None:
        assert read(tmp_path, "\ufeffrate_limit:\r\n  interval: 1s\r\n  burst: 1\r\n").rate == RateLimit(
            1.0, 1
        )


NO_MAP = (
    "write a map with the keys tls_server_config, http_server_config, basic_auth_users, rate_limit, not a "
)
NO_HASH = "is not a bcrypt hash: write one such as htpasswd -nB prints, beginning with $2"
SLOW_HASH = "has a cost above 16, which is slow: write one such as htpasswd -nB -C 12 prints"
NO_BURST = "write how many requests may come at once, at least 1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n- b\n", f": {NO_MAP}list"),
        ("hello", f": {NO_MAP}text"),
        ("tls_config: {}\n", ", line 1: unknown key tls_config: did you mean tls_server_config?"),
        (
            "\n\nauthorization: {}\n",
            ", line 3: unknown key authorization: write one of tls_server_config, http_server_config, "
            "basic_auth_users, rate_limit",
        ),
        ("tls_server_config: yes\n", ", line 1: tls_server_config: write a map, not a text"),
        ("rate_limit: [1]\n", ", line 1: rate_limit: write a map, not a list"),
        ("basic_auth_users: [alice]\n", ", line 1: basic_auth_users: write a map, not a list"),
        (
            "http_server_config:\n  http3: true\n",
            ", line 2: http_server_config: unknown key http3: did you mean http2?",
        ),
        ("http_server_config: {http2: 2}\n", ", line 1: http_server_config: http2: write true or false"),
        (
            "http_server_config:\n  headers:\n    Content-Type: foo\n",
            ", line 3: http_server_config: headers: unknown key Content-Type: did you mean "
            "X-Content-Type-Options?",
        ),
        (
            "http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n",
            ", line 3: http_server_config: headers: X-Content-Type-Options: write nosniff",
        ),
        (
            "http_server_config:\n  headers:\n    X-Frame-Options: DENY\n",
            ", line 3: http_server_config: headers: X-Frame-Options: write deny or sameorigin",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: evil"}}\n',
            ", line 1: http_server_config: headers: X-XSS-Protection: write one line of ASCII, of at most "
            "4,096 characters",
        ),
        (
            "basic_auth_users:\n  alice: s3cret\n",
            f", line 2: basic_auth_users: alice: the password {NO_HASH}",
        ),
        ("basic_auth_users:\n  alice:\n", f", line 2: basic_auth_users: alice: the password {NO_HASH}"),
        (
            f"basic_auth_users:\n  alice: {HASH.replace('$04$', '$31$')}\n",
            f", line 2: basic_auth_users: alice: the password {SLOW_HASH}",
        ),
        (
            f"basic_auth_users:\n  'a:b': {HASH}\n",
            ", line 2: basic_auth_users: with unusual characters (is a space missing after a colon?): write "
            "a name without a colon, which ends the name in basic authentication",
        ),
        (
            f"basic_auth_users:\n  alice: {HASH}\n  alice: {HASH}\n",
            ", line 3: not valid YAML (a key comes twice): check the indentation, and put values with "
            "special characters in quotes",
        ),
        (
            "rate_limit:\n  interval: 5\n  burst: 1\n",
            ", line 2: rate_limit: interval: a duration needs its unit: write 5s",
        ),
        (
            "rate_limit:\n  interval: -1s\n  burst: 1\n",
            ", line 2: rate_limit: interval: the least is 0, which is no limit",
        ),
        (
            "rate_limit:\n  interval: 1s\n  burst: many\n",
            ", line 3: rate_limit: burst: write a whole number",
        ),
        ("rate_limit:\n  interval: 1s\n", f", line 2: rate_limit: burst: {NO_BURST}"),
        ("rate_limit:\n  interval: 1s\n  burst: 0\n", f", line 3: rate_limit: burst: {NO_BURST}"),
        ("rate_limit: {burst: -1}\n", ", line 1: rate_limit: burst: the least is 0"),
        (b"basic_auth_users: {\xe9: x}\n", ": the file is not UTF-8: save it as UTF-8"),
        (
            "a: &a [*a]\n",
            ", line 1: not valid YAML (an alias is inside of what it names): write less of it",
        ),
    ],
)
def test_each_fault_has_its_line_and_says_what_to_write(tmp_path: Path, text: str | bytes, says: str) -> None:
    assert faults(tmp_path, text) == [f"web.yml{says}"]


def test_all_faults_are_listed_and_no_secret(tmp_path: Path) -> None:
    found = faults(
        tmp_path, "basic_auth_users: {a: s3cret, b: s3cret}\nrate_limit: {burst: x}\njunk: s3cret\n"
    )
    assert [line.partition(": ")[0] for line in found] == [
        "web.yml, line 1", "web.yml, line 1", "web.yml, line 2", "web.yml, line 3"
    ]  # fmt: skip
    assert "s3cret" not in "".join(found)


def test_a_file_of_very_many_users_is_refused(tmp_path: Path) -> None:
    lines = "".join(f"  user{number}: {HASH}\n" for number in range(USERS_MAX + 1))
    [line] = faults(tmp_path, f"basic_auth_users:\n{lines}")
    assert line == (
        f"web.yml, line {USERS_MAX + 2}: basic_auth_users: user{USERS_MAX}: write at most {USERS_MAX:,} users"
    )


@pytest.mark.parametrize("kind", ["none", "folder", "fifo", "circle", "large"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "web.yml"
    match kind:
        case "folder":
            file.mkdir()
        case "fifo":
            os.mkfifo(file)
        case "circle":
            file.symlink_to(file)
        case "large":
            file.write_bytes(b"#" * 1001)
    with pytest.raises(ConfigError) as caught:
        read_web_config(str(file), FileLimits(max_bytes=1000))
    why = {
        "none": "No such file or directory",
        "folder": "Is a directory",
        "fifo": "it is a FIFO, not a regular file",
        "circle": "Too many levels of symbolic links",
        "large": "it holds more than 1000 bytes, the limit of --files.max-bytes",
    }[kind]
    assert str(caught.value) == f"{file}: the file cannot be read ({why}): check --web.config.file"
