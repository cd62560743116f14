"""Commands about keys that nobody knows yet whether the server takes: each is tried on one key first.

So a command that is refused costs one error reply, however many keys there are. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.errors import ReplyError
from exporter.protocol.command import About, Reply

Args = tuple[str | bytes | int, ...]


class UnselectedError(ReplyError):
    """The reply to SELECT, in the place of those to commands about the keys of a database that could not be
    selected. It says nothing of these commands."""


def verb_of(args: Args) -> str:
    """The words of a command before the key: `LLEN`, `MEMORY USAGE`."""
    word, second = args[:2]
    return str(word) if isinstance(second, bytes) else f"{word!s} {second!s}"


def refuses_command(reply: Reply, verb: str) -> bool:
    """Whether a reply refuses the command, whatever its key is. A user who may not look at a key gets NOPERM
    too, but without the command's name."""
    if not isinstance(reply, ReplyError) or isinstance(reply, UnselectedError) or not reply.is_refusal:
        return False
    return reply.code != "NOPERM" or verb.split(" ", 1)[0].lower() in reply.raw.lower()


class Trials:
    """Of the commands about some keys, those that go out first. `answered` are the verbs that the server
    takes."""

    def __init__(self, answered: set[str]) -> None:
        self._answered = answered
        self.first: dict[str, Args] = {}  # the command that each unknown verb is tried with
        self.refused: dict[str, ReplyError] = {}

    def know(self, verbs: Iterable[str | bytes | int | Args]) -> bool:
        """Whether all of these were answered: words, or pairs of words."""
        return all(
            (" ".join(map(str, verb)) if isinstance(verb, tuple) else verb) in self._answered
            for verb in verbs
        )

    def goes_first(self, args: Args) -> bool:
        verb = verb_of(args)
        return verb in self._answered or self.first.setdefault(verb, args) is args

    def about(self, args: Args) -> About:
        """What an error to this command speaks of. TYPE is asked before anything is known of a key."""
        if args[0] == "TYPE":
            return About.SERVER
        if not self.first:
            return About.DATA
        return About.TRIAL if self.first.get(verb_of(args)) is args else About.DATA

    def judge(self, asked: Sequence[Args], replies: Sequence[Reply]) -> None:
        """Learn from the replies about one key. A right that was taken away is noticed too."""
        for args, reply in zip(asked, replies, strict=True):
            if not isinstance(reply, ReplyError):
                if self.first:
                    self._answered.add(verb_of(args))
            elif refuses_command(reply, verb := verb_of(args)):
                self._answered.discard(verb)
                self.refused[verb] = reply


def join(
    each: Sequence[Args],
    held: Sequence[Args],
    sent: Sequence[Args],
    first: Sequence[Reply],
    later: Sequence[Reply],
    refused: Mapping[str, ReplyError],
) -> Iterator[Reply]:
    """The replies about one key, in the order of `each`. Of the commands that were `held`, those that were
    `sent` then have replies in `later`; the others are `refused`."""
    at_once, afterwards = iter(first), iter(later)
    waited, went = {id(args) for args in held}, {id(args) for args in sent}
    for args in each:
        if id(args) not in waited:
            yield next(at_once)
        else:
            yield next(afterwards) if id(args) in went else refused[verb_of(args)]
