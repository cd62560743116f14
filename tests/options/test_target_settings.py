"""The options in force for one target."""

from __future__ import annotations

import pytest

from exporter.options.commandline import parse
from exporter.options.overrides import overrides_of
from exporter.options.table import OPTIONS
from exporter.options.target_settings import settings_of_target

SECRET = "s3cret-of-mine"
OPTION_OF = {option.flag: option for option in OPTIONS}


@pytest.mark.parametrize(
    ("flag", "text", "written"),
    [
        ("poll.interval", "90s", "90s"),
        ("skip-tls-verification", "true", "true"),
        ("check-keys", "3=a*,b", "3=a*,b"),
        ("discover.allow", "10.0.0.0/8,*.local", "10.0.0.0/8,*.local"),
        ("check-search-indexes", "^a", "^a"),
        ("collectors.off", "slowlog", "slowlog"),
        ("max-series-per-target", "50", "50"),
        ("check-key-groups", "^(.*)_", "^(.*)_"),
    ],
)
def test_a_value_of_a_target_is_written_as_an_operator_would(flag: str, text: str, written: str) -> None:
    overrides = overrides_of([(flag, OPTION_OF[flag].type.parse(text))])
    found = {
        each.option.flag: each for each in settings_of_target(parse([], {}), overrides, {}, "group cache")
    }
    assert found[flag][1:] == (written, "group cache", True)
    assert found.keys() == {option.flag for option in OPTIONS if option.per_target}
    assert not any(each.is_given for name, each in found.items() if name != flag)


def test_no_secret_is_shown() -> None:
    options = parse([f"--redis.password={SECRET}", f"--redis.addr=redis://u:{SECRET}@h:6379"], {})
    assert SECRET not in repr(list(settings_of_target(options, (), {}, "")))


def test_a_place_in_a_file_says_where_a_value_comes_from() -> None:
    overrides = overrides_of([("poll.interval", 9.0)])
    found = settings_of_target(parse([], {}), overrides, {"poll.interval": "a.yml, line 3"}, "this target")
    assert next(each.where for each in found if each.is_given) == "file: a.yml, line 3"
