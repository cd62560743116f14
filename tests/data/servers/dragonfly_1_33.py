"""Dragonfly up to 1.33: INFO takes one section, and calls itself 7.x all the same.

- the symptom and the version that mends it: https://github.com/dragonflydb/dragonfly/issues/6064
- all else: as `dragonfly.py`
"""

from tests.data.servers.dragonfly import HIDDEN, INFO, UNKNOWN
from tests.data.servers.dragonfly import REPLIES as NEWEST
from tests.server_kinds import Refusal, info

__all__ = ["REPLIES", "UNKNOWN"]

#: another server has other data
ITS_INFO = INFO.replace("0f1e2d3c4b5a6978", "1e2d3c4b5a69788f")
REPLIES = {**NEWEST, "INFO": info(ITS_INFO, hidden=HIDDEN, several=Refusal("ERR syntax error"))}
