"""temporary"""
from exporter.collector import Collector
from exporter.errors import ReplyError
from exporter.model import *
from exporter.model import gauge, counter
C = Pattern("cmdstat_", "cmd", first="calls=")
class StatsCollector(Collector):
    name = "stats"
    help = "stats"
    lane = Lane.STANDARD
    families = (counter("commands_total","Calls.",Record(C,"calls")),counter("commands_duration_seconds_total","Time.",Record(C,"usec",How.USEC)))
    def collect(self, facts, options, out):
        rs = yield [Command.of("INFO","commandstats","errorstats","latencystats")] if facts.version>=(7,0,0) else [Command.of("INFO","commandstats")]
        if isinstance(rs[0], ReplyError): raise rs[0].as_target_error()
        out.info(rs[0])
