"""Where keys are and how to ask for them: databases, nodes of a cluster, redirections. Pure: whatever is
asked is yielded.

A key is asked for where it is: in its database on a server of its own, on the primary that serves its slot in
a cluster. Every batch leaves the connection as it was: in the target's own database, counting as a user of
keys again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from exporter import engine
from exporter.collectors._answered import Answered
from exporter.collectors._contract import Collector, Out, OutWithMemory
from exporter.collectors._key_trials import Args, Trials, UnselectedError, join, refuses_command, verb_of
from exporter.errors import UNREACHABLE, ReplyError
from exporter.options.table import Options
from exporter.options.values import KeyName
from exporter.protocol.cluster import Place, Slots, parse_slots, redirection
from exporter.protocol.command import PAUSE, PIECE, About, Command, Reply
from exporter.protocol.facts import Facts

#: with more single keys or streams than this they move from the fast lane to the standard one
SINGLE_MAX = 1000
#: commands that are made between two pauses
COMMANDS_A_PIECE = 200
_GLOB = frozenset(b"?*[]^")


@dataclass(slots=True)
class KeyMemory:
    """What is remembered of a target's keys. `found` and `found_streams` are the names that the newest
    scan found, by pattern."""

    slots: Slots | None = None  # None: not known, or no longer right
    answered: Answered = field(default_factory=Answered)
    found: dict[KeyName, tuple[bytes, ...]] = field(default_factory=dict)
    found_streams: dict[KeyName, tuple[bytes, ...]] = field(default_factory=dict)


KeyspaceOut = OutWithMemory[KeyMemory]


class KeyspaceCollector(Collector[KeyMemory]):
    """Base of those that look at keys and share what they know of them."""

    memory_name = "keyspace"

    def wants(self, facts: Facts, options: Options) -> bool:
        return allowed_on(facts, options)

    def new_memory(self) -> KeyMemory:
        return KeyMemory()


def is_pattern(key: KeyName) -> bool:
    return not _GLOB.isdisjoint(key.name)


def singles(literal: Sequence[KeyName], mixed: Sequence[KeyName]) -> tuple[KeyName, ...]:
    """The names that mean one key, each once: all of `literal`, and those of `mixed` that are no patterns."""
    return tuple(dict.fromkeys([*literal, *(key for key in mixed if not is_pattern(key))]))


def patterns(mixed: Sequence[KeyName]) -> tuple[KeyName, ...]:
    return tuple(dict.fromkeys(key for key in mixed if is_pattern(key)))


def read_on_standard_lane(
    single: Sequence[KeyName], found: Mapping[KeyName, Iterable[bytes]], options: Options
) -> list[KeyName]:
    """The keys that a scan `found`, by pattern, and the `single` ones if they are too many for the fast lane.

    Series have a label for the key: a long name is cut there, and bytes that are no text are replaced. Of
    keys with the same label, the single one has the series."""
    label_max = options.metrics.max_label_length
    labels = {(key.db, engine.escape(key.name, label_max)) for key in single}
    names = dict.fromkeys(single) if len(single) > SINGLE_MAX else {}
    for pattern, each in found.items():
        for name in each:
            if not labels or (pattern.db, engine.escape(name, label_max)) not in labels:
                names[KeyName(pattern.db, name)] = None
    return list(names)


def allowed_on(facts: Facts, options: Options) -> bool:
    """Whether the data of this server may be looked at: it has some, and is a replica where only those are
    to be asked."""
    if facts.mode == "sentinel" or facts.version < (2, 8, 0):
        return False
    return facts.role == "slave" or not options.keys.skip_checkkeys_for_role_master


def learn_slots(
    facts: Facts, known: Slots | None = None
) -> Generator[list[Command], list[Reply], Slots | None]:
    """The slots of a cluster's node; sends the command unless they are `known`. None: the server has no
    slots, or does not list them."""
    if known is not None or not facts.cluster_enabled:
        return known
    ranges, own_id = yield [Command.of("CLUSTER", "SLOTS"), Command.of("CLUSTER", "MYID")]
    return (yield from parse_slots(ranges, own_id))


def across(facts: Facts, options: Options) -> bool:
    """Whether all nodes of the target's cluster are asked, and not the target alone."""
    return options.redis.is_cluster and facts.cluster_enabled


def place_keys(
    names: Iterable[KeyName], facts: Facts, options: Options, slots: Slots | None
) -> Generator[list[Command], list[Reply], dict[KeyName, Place]]:
    """Where each key is to be asked for; without those of a database or a slot that is not there, or that
    another node serves where the target alone is asked. A cluster has database 0 only. In pieces."""
    places: dict[KeyName, Place] = {}
    for at, key in enumerate(names, 1):
        if at % PIECE == 0:
            yield PAUSE
        if not facts.cluster_enabled:
            if facts.databases is None or key.db < facts.databases:
                places[key] = Place(key.db)
            continue
        node = "" if slots is None else slots.node(key.name)
        if node is not None and (node == "" or across(facts, options)):
            places[KeyName(0, key.name)] = Place(0, node)
    return places


def walk_places(db: int, facts: Facts, options: Options, slots: Slots | None) -> list[Place]:
    """Where SCAN finds all keys of a database."""
    if facts.cluster_enabled:
        return (
            [Place(0, node) for node in slots.primaries]
            if across(facts, options) and slots is not None
            else [Place(0)]
        )
    return [Place(db)] if facts.databases is None or db < facts.databases else []


def ask(
    requests: Sequence[tuple[Place, Args]], facts: Facts, out: Out, answered: Answered
) -> Generator[list[Command], list[Reply], list[Reply]]:
    """Ask commands of one verb at their places; their replies in order.

    If the verb is not `answered` yet, the first goes out alone. If it is refused, that error stands for the
    replies to all.
    """
    if not requests:
        return []
    verb = str(requests[0][1][0])
    answered.begin(facts.run_id)
    replies: list[Reply] = []
    if verb not in answered.words:
        replies = yield from _send(requests[:1], facts, out, [About.TRIAL])
        if refuses_command(replies[0], verb):
            return replies * len(requests)
    rest = requests[len(replies) :]
    if rest:
        replies += yield from _send(rest, facts, out, [About.DATA] * len(rest))
    if not all(isinstance(reply, ReplyError) for reply in replies):
        answered.words.add(verb)
    return replies


def _send(
    requests: Sequence[tuple[Place, Args]], facts: Facts, out: Out, abouts: Sequence[About]
) -> Generator[list[Command], list[Reply], list[Reply]]:
    """Send each command to its place, all in one batch; their replies in order. Where a database cannot be
    selected, that error stands for the replies of all its commands: the server answered them for another one.
    """
    by_node: dict[str, dict[int, list[int]]] = {}
    for number, (place, _) in enumerate(requests):
        if (number + 1) % COMMANDS_A_PIECE == 0:
            yield PAUSE
        by_node.setdefault(place.node, {}).setdefault(place.db, []).append(number)
    quiet = facts.flavor != "keydb" and facts.version >= (7, 2, 0)
    commands: list[Command] = []
    made = count(1)
    spots: dict[int, tuple[int, int | None]] = {}  # place of a request's reply, and of the SELECT before it
    for node, by_db in by_node.items():
        own_db = 0 if node else out.db
        if quiet:  # looking at keys must not make them look used
            commands.append(Command.of("CLIENT", "NO-TOUCH", "ON", node=node))
        for db, numbers in sorted(
            by_db.items(), key=lambda item: item[0] != own_db
        ):  # its own first: that needs no SELECT
            select = None
            if db != own_db:
                select = len(commands)
                commands.append(Command.of("SELECT", db, node=node))
            for number in numbers:
                if next(made) % COMMANDS_A_PIECE == 0:
                    yield PAUSE
                place, args = requests[number]
                if place.asking:
                    commands.append(Command.of("ASKING", node=node))
                spots[number] = (len(commands), select)
                commands.append(Command.new(args, node, abouts[number]))
        if any(db != own_db for db in by_db):
            commands.append(Command.of("SELECT", own_db, node=node))
        if quiet:
            commands.append(Command.of("CLIENT", "NO-TOUCH", "OFF", node=node))
    replies = yield commands
    found: list[Reply] = []
    for number in range(len(requests)):
        if (number + 1) % COMMANDS_A_PIECE == 0:
            yield PAUSE
        found.append(_reply_at(replies, *spots[number]))
    return found


def _reply_at(replies: Sequence[Reply], at: int, select: int | None) -> Reply:
    error = None if select is None else replies[select]
    return UnselectedError(error.raw, lambda _: error.text) if isinstance(error, ReplyError) else replies[at]


def ask_keys(
    wanted: Mapping[KeyName, Sequence[Args]],
    places: dict[KeyName, Place],
    facts: Facts,
    options: Options,
    out: KeyspaceOut,
) -> Generator[list[Command], list[Reply], dict[KeyName, list[Reply]]]:
    """Ask several commands for each key; the replies by key. A redirection is followed once, and noted in
    `places`.

    A command that the server has not taken yet is tried on one key. If it is refused there, that error stands
    for its replies about all other keys.
    """
    out.memory.answered.begin(facts.run_id)
    trials = Trials(out.memory.answered.words)
    first: Mapping[KeyName, Sequence[Args]] = wanted
    held: dict[KeyName, list[Args]] = {}
    if not trials.know(
        {args[:2] if type(args[1]) is str else args[0] for each in wanted.values() for args in each}
    ):
        first, held = yield from _split(wanted, trials)
    answers = yield from _follow(first, places, facts, options, out, trials)
    if held:
        allowed = {
            key: [args for args in each if verb_of(args) not in trials.refused] for key, each in held.items()
        }
        more = yield from _follow(allowed, places, facts, options, out, trials)
        for key, each in held.items():
            answers[key] = list(
                join(wanted[key], each, allowed[key], answers[key], more[key], trials.refused)
            )
    return answers


def _split(
    wanted: Mapping[KeyName, Sequence[Args]], trials: Trials
) -> Generator[list[Command], list[Reply], tuple[dict[KeyName, list[Args]], dict[KeyName, list[Args]]]]:
    """By key, the commands that go out first, and those that are held until these are answered."""
    first: dict[KeyName, list[Args]] = {}
    held: dict[KeyName, list[Args]] = {}
    for at, (key, each) in enumerate(wanted.items(), 1):
        if at % COMMANDS_A_PIECE == 0:
            yield PAUSE
        first[key] = [args for args in each if trials.goes_first(args)]
        if len(first[key]) < len(each):
            held[key] = [args for args in each if not trials.goes_first(args)]
    return first, held


def _follow(
    wanted: Mapping[KeyName, Sequence[Args]],
    places: dict[KeyName, Place],
    facts: Facts,
    options: Options,
    out: KeyspaceOut,
    trials: Trials,
) -> Generator[list[Command], list[Reply], dict[KeyName, list[Reply]]]:
    """Ask in one batch, follow redirections, and judge the replies."""
    answers = yield from _ask_keys(wanted, places, facts, out, trials)
    moved: dict[KeyName, Place] = {}
    for at, (key, replies) in enumerate(answers.items(), 1):
        if at % COMMANDS_A_PIECE == 0:
            yield PAUSE
        for reply in replies:
            if type(reply) is not ReplyError:
                continue
            if reply.code in ("MOVED", UNREACHABLE):
                out.memory.slots = None
            place = redirection(reply)
            if place is not None and across(facts, options):
                moved[key] = place
        if trials.first or any(type(reply) is ReplyError for reply in replies):
            trials.judge(wanted[key], replies)
    if moved:
        places.update(moved)
        again = {key: wanted[key] for key in moved}
        answers.update((yield from _ask_keys(again, places, facts, out, trials)))
        for key in moved:
            trials.judge(wanted[key], answers[key])
    return answers


def _ask_keys(
    wanted: Mapping[KeyName, Sequence[Args]],
    places: Mapping[KeyName, Place],
    facts: Facts,
    out: KeyspaceOut,
    trials: Trials,
) -> Generator[list[Command], list[Reply], dict[KeyName, list[Reply]]]:
    requests: list[tuple[Place, Args]] = []
    abouts: list[About] = []
    for at, (key, each) in enumerate(wanted.items(), 1):
        if at % COMMANDS_A_PIECE == 0:
            yield PAUSE
        requests.extend((places[key], args) for args in each)
        abouts.extend(trials.about(args) for args in each)
    replies = iter((yield from _send(requests, facts, out, abouts)) if requests else ())
    answers: dict[KeyName, list[Reply]] = {}
    for at, (key, each) in enumerate(wanted.items(), 1):
        if at % COMMANDS_A_PIECE == 0:
            yield PAUSE
        answers[key] = [next(replies) for _ in each]
    return answers


def fail_if_all_failed(replies: Sequence[Reply]) -> None:
    """Raise where no reply is of use and it is not the server's refusal of the command, which the driver
    remembers."""
    if replies and all(isinstance(reply, ReplyError) for reply in replies):
        for reply in replies:
            if not reply.is_refusal:
                raise reply.as_target_error()


def acl_rules(commands: Iterable[str], names: Sequence[KeyName], options: Options) -> tuple[str, ...]:
    """ACL rules for commands on some keys or patterns; a name that a rule cannot hold asks for all keys."""
    keys = [key.name.decode("utf-8", "replace") for key in names]
    if any(not key.isprintable() or " " in key for key in keys):
        keys = ["*"]
    around = (
        ["cluster|slots", "cluster|myid"]
        if options.redis.is_cluster
        else ["select"]
        if any(key.db for key in names)
        else []
    )
    return (*(f"+{command}" for command in (*commands, *around)), *(f"~{key}" for key in dict.fromkeys(keys)))
