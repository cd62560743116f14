"""INFO, the sections that seldom change. `test_info.py` reads each family from its field."""

from __future__ import annotations

import math

import pytest

from exporter.collectors._info_replies import InfoMemory
from exporter.collectors._several import Apart, Sections
from exporter.collectors.info import InfoCollector
from exporter.collectors.server import ServerCollector
from exporter.errors import NoPermError, ProtocolError, ReplyError
from exporter.metrics.lane import Lane
from tests.collectors.conftest import FACTS, Drive

LOOKED_AT = InfoMemory(sections=Sections(Apart((), "r", math.inf), Apart((), "r", math.inf)))
TEXT = (
    b"# Server\r\nredis_version:7.0.15\r\nrun_id:r\r\nuptime_in_seconds:7\r\n# Persistence\r\nloading:0\r\n"
)


def test_it_asks_what_the_other_collector_of_info_asks() -> None:
    assert ServerCollector.memory_name == InfoCollector.memory_name
    assert ServerCollector.lane is Lane.STANDARD


def test_it_reads_the_whole_text(drive: Drive) -> None:
    played = drive(ServerCollector(), [TEXT], facts=FACTS, memory=LOOKED_AT)
    assert played.asked == [[("INFO",)]]
    assert played.samples()["redis_uptime_in_seconds"] == "7"
    assert played.samples()["redis_loading_dump_file"] == "0"


def test_no_family_is_written_twice() -> None:
    assert not {each.name for each in ServerCollector.families} & {
        each.name for each in InfoCollector.families
    }


@pytest.mark.parametrize(
    ("reply", "error"), [(ReplyError("NOPERM no"), NoPermError), (7, ProtocolError), ([], ProtocolError)]
)
def test_it_fails_without_a_text(drive: Drive, reply: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        drive(ServerCollector(), [reply], facts=FACTS, memory=LOOKED_AT)
