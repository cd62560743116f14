"""What the page of one target says: values only, and no secrets."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

from exporter.errors import RefusedError
from exporter.options.commandline import parse
from exporter.options.overrides import overrides_of
from exporter.polling.outcome import PollOutcome
from exporter.polling.results import PollResults
from exporter.status.target_detail import LOGIN_FLAGS, TargetDetail, detail_of, labels_of
from exporter.targets.redaction import NOTHING
from tests.status.members import Members

SECRET = "s3cret-of-mine"
OPTIONS = parse([f"--redis.password={SECRET}", "--poll.interval=3s"], {})


async def detail(members: Members, **target: Any) -> TargetDetail:
    watched = members.add("h", "up", **target)
    watched.health.history.note(PollOutcome(PollResults(NOTHING, received=math.inf), None, 0.0, 5.0, 0.5), ())
    watched.health.history.note(PollOutcome(None, RefusedError("h: nobody listens"), 0.0, 6.0, 0.5), ())
    return detail_of(watched, OPTIONS, {}, 100.0, 1_700_000_000.0)


async def test_the_newest_poll_is_the_first() -> None:
    found = await detail(Members())
    failed, scattered, *_ = found.polls
    assert (failed.began_at, failed.reason, failed.error_text) == (6.0, "refused", "h: nobody listens")
    assert scattered.received_bytes is None
    assert failed.received_bytes == 0


async def test_settings_say_where_they_come_from() -> None:
    own = overrides_of([("poll.interval", 9.0)])
    found = await detail(Members(), overrides=own, settings_group="cache", password=SECRET, user="u")
    settings = {each.flag: each for each in found.settings}
    assert (settings["poll.interval"].value, settings["poll.interval"].is_given) == ("9s", True)
    assert settings["poll.interval"].where == "this target, or its group cache"
    assert not settings["max-age"].is_given
    assert settings.keys().isdisjoint(LOGIN_FLAGS)
    assert SECRET not in repr(asdict(found))


async def test_values_of_a_request_say_so() -> None:
    own = overrides_of([("check-keys", ())])
    found = await detail(Members(), overrides=own, variant="v1")
    assert next(each for each in found.settings if each.flag == "check-keys").where == "the request"


async def test_labels_are_those_that_the_head_does_not_show() -> None:
    found = await detail(Members(), alias="a", labels=(("team", "web"),))
    assert labels_of(found) == {"team": "web"}
    assert labels_of(replace(found, row=replace(found.row, labels={"addr": "h"}))) == {}
