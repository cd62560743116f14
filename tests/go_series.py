"""How many series a page has, ours and the Go exporter's, of the same servers.

`python -m tests.go_series --record VERSION=PROGRAM …` writes `tests/data/go_series.csv`: the series of each
Go exporter by situation and family, the newest version last. Without `--record` it prints, against that file,
the families that make our pages larger.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.ports import free_port
from tests.servers import HOST, PATIENCE_S, RedisServer, wait_until

FILE = Path(__file__).parent / "data" / "go_series.csv"
#: 25 commands that applications use
COMMANDS = """SET a 1|GET a|INCR n|DEL zz|EXISTS a|EXPIRE a 1000|TTL a|LPUSH l 1|RPUSH l 2|LRANGE l 0 -1
    |LLEN l|HSET h f v|HGET h f|HGETALL h|SADD s m|SMEMBERS s|ZADD z 1 m|ZRANGE z 0 -1|ZSCORE z m
    |MSET b 1 c 2|MGET b c|SETEX e 100 v|TYPE a|SCAN 0|PUBLISH ch m"""
SITUATIONS = ("fresh", "25 commands", "replica", "three databases")
#: they make all lanes show in a page at once. The number of series is that of the default intervals
OURS = (
    sys.executable,
    "-m",
    "exporter",
    *(f"--poll.{lane}interval=1s" for lane in ("", "standard-", "slow-")),
)


@contextmanager
def server_in(situation: str, directory: Path) -> Iterator[RedisServer]:
    """A server that was used in this way."""
    with ExitStack() as cleanup:

        def start(name: str, *args: str) -> RedisServer:
            (directory / name).mkdir(parents=True)
            server = RedisServer(directory / name, *args).start()
            cleanup.callback(server.stop)
            return server

        server = start("server")
        if situation == "replica":
            server = start("replica", "--replicaof", f"{HOST} {server.port}")
            wait_until(lambda: b"master_link_status:up" in server.ask("INFO", "replication"), "a replica")
        server.ask("CONFIG", "RESETSTAT")
        if situation != "fresh":
            for command in COMMANDS.split("|"):
                server.ask(*command.split())
        if situation == "three databases":
            for db in (1, 2):
                server.ask("EVAL", f"redis.call('SELECT', {db}) return redis.call('SET', 'x', 1)", 0)
        yield server


def series_of(page: str) -> Counter[str]:
    """How many series each family has."""
    found: Counter[str] = Counter()
    family = ""
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            family = line.split(" ")[2]
        elif line and not line.startswith("#"):
            found[family] += 1
    return found


def page_of(program: Sequence[str], server: RedisServer) -> str:
    """The page of one target, once it has all that it ever has: the series about scrapes come after some."""
    port = free_port()
    flags = (f"--redis.addr=redis://{HOST}:{server.port}", f"--web.listen-address={HOST}:{port}")
    process = subprocess.Popen([*program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pages: list[str] = []

    def is_whole() -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=PATIENCE_S) as response:
                pages.append(response.read().decode())
        except OSError:
            return False
        ours = "redis_exporter_snapshot_age_seconds" in pages[-1]
        return len(pages) > 5 and (
            not ours
            or all(part in pages[-1] for part in ('endpoint="metrics"', 'cmd="latency|histogram",le'))
        )

    try:
        wait_until(is_whole, "a page with all its series")
    finally:
        process.kill()
        process.wait()
    return pages[-1]


def recorded() -> dict[str, dict[str, Counter[str]]]:
    """The series of each family by situation and by version of the Go exporter."""
    with FILE.open(newline="") as file:
        lines = [line for line in file if not line.startswith("#")]
    found: dict[str, dict[str, Counter[str]]] = {}
    for row in csv.DictReader(lines):
        of_situation = found.setdefault(row.pop("situation"), {})
        family = row.pop("family")
        for version, series in row.items():
            of_situation.setdefault(version, Counter())[family] = int(series)
    return found


def table(ours: Counter[str], theirs: Counter[str]) -> str:
    """The families that differ in their number of series, the largest difference first."""
    names = sorted(ours | theirs, key=lambda name: (theirs[name] - ours[name], name))
    rows = [f"{name:60} {ours[name]:5} {theirs[name]:5}" for name in names if ours[name] != theirs[name]]
    return "\n".join([f"{'':60}  ours    Go", *rows, f"{'all':60} {ours.total():5} {theirs.total():5}"])


def _record(programs: dict[str, str], directory: Path) -> None:
    with FILE.open("w", newline="") as file:
        file.write(
            "# Series of github.com/oliver006/redis_exporter with default flags, on redis-server 7.0.15, by\n"
            "# situation and family. Made by tests/go_series.py, which has the situations.\n"
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["situation", "family", *programs])
        for situation in SITUATIONS:
            counts = []
            for number, program in enumerate(programs.values()):
                with server_in(situation, directory / f"{situation}-{number}") as server:
                    counts.append(series_of(page_of([program], server)))
            for family in sorted(set().union(*counts)):
                writer.writerow([situation, family, *(count[family] for count in counts)])


def _print(directory: Path) -> None:
    for situation, versions in recorded().items():
        with server_in(situation, directory / situation) as server:
            ours = series_of(page_of(OURS, server))
        for version, theirs in versions.items():
            print(f"\n{situation}, against {version}: {ours.total() / theirs.total():.2f}")
            print(table(ours, theirs))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        if sys.argv[1:2] == ["--record"]:
            _record(dict(word.split("=", 1) for word in sys.argv[2:]), Path(place))
        else:
            _print(Path(place))
