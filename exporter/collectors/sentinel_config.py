"""The configuration of a Sentinel itself, on request."""

from __future__ import annotations

import re
from functools import partial

from exporter.collectors._contract import Batches, Collector, Out, raise_failure
from exporter.errors import ProtocolError, ReplyError
from exporter.metrics.family import NameSet, gauge
from exporter.metrics.lane import Lane
from exporter.options.table import Options
from exporter.protocol.command import PAUSE, PIECE, Command
from exporter.protocol.facts import Facts

#: in the name of a key whose value is a secret, or half of one
SECRET = re.compile(rb"pass|auth|secret|token|credential|private|sentinel-user", re.IGNORECASE)
_NUMBER = re.compile(rb"-?[0-9]{1,18}(\.[0-9]{1,18})?\Z")

go_gauge = partial(gauge, name_set=NameSet.GO)

KEY_VALUE = go_gauge(
    "sentinel_config_key_value",
    "A key of the Sentinel's configuration and its value. Always 1.",
    labels=("key", "value"),
)
VALUE = go_gauge(
    "sentinel_config_value",
    "Value of a key of the Sentinel's configuration that is a number.",
    labels=("key",),
)


class SentinelConfigCollector(Collector[None]):
    name = "sentinel_config"
    help = "SENTINEL CONFIG GET."
    lane = Lane.SLOW
    families = (KEY_VALUE, VALUE)

    def enabled(self, options: Options) -> bool:
        return options.metrics.include_config_metrics

    def wants(self, facts: Facts, options: Options) -> bool:
        return facts.mode == "sentinel" and facts.version >= (6, 2, 0)

    def acl(self, options: Options) -> tuple[str, ...]:
        return ("+sentinel|config",)

    def repeats(self, options: Options) -> bool:
        return True

    def collect(self, facts: Facts, options: Options, out: Out) -> Batches:
        [reply] = yield [Command.of("SENTINEL", "CONFIG", "GET", "*")]
        raise_failure(reply)
        if isinstance(reply, ReplyError):
            return
        if not isinstance(reply, list):
            raise ProtocolError("the reply to SENTINEL CONFIG GET is not a list")
        pairs = zip(reply[::2], reply[1::2], strict=False)
        texts = {key: value for key, value in pairs if isinstance(key, bytes) and isinstance(value, bytes)}
        for at, (key, value) in enumerate(texts.items(), 1):
            if at % PIECE == 0:
                yield PAUSE
            if options.metrics.redact_config_metrics and SECRET.search(key):
                continue
            out.add(KEY_VALUE, 1, key, value)
            if _NUMBER.match(value):
                out.add(VALUE, float(value) if b"." in value else int(value), key)
