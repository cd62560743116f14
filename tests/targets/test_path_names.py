from urllib.parse import unquote

import pytest

from exporter.targets.path_names import names_meant, written_name

NAMES = ("orders", "a/b", "unix:///tmp/redis.sock", "rediss://10.0.0.1:6379/1", "..", ".", "a.b", "a%2Fb")


@pytest.mark.parametrize("name", [*NAMES, "~", "a~2Fb", "~7E", "a?b#c", "{}", "é ‮", "x/trace", "\\"])
def test_a_name_comes_back(name: str) -> None:
    assert names_meant(unquote(written_name(name)))[0] == name


@pytest.mark.parametrize("name", NAMES)
def test_no_proxy_changes_a_path_with_it(name: str) -> None:
    written = written_name(name)
    assert "%2F" not in written
    assert written.strip(".")


def test_people_may_write_a_name_as_it_is() -> None:
    assert names_meant("a~2Fb") == ("a/b", "a~2Fb")
    assert names_meant("~a~") == ("~a~",)
