"""One tree of errors, by whose fault it is.

`UsageError` and `ConfigError` are the operator's, `RequestError` is a client's, `TargetError` is the target's
(or the network's), `InternalError` is ours. Each class names its `reason`, the label under which a failed
poll is counted, and its `exit_code`, for a command that ends with it. `ReplyError` is never raised: it is the
value of one error reply among the replies of a pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter import safe_text

#: mistakes that are listed; the others are counted
PROBLEMS_MAX = 20
PROBLEM_LENGTH_MAX = 1000

#: characters of an error's text, and of an error reply that is looked at
TEXT_MAX = 1000
RAW_MAX = 4096


class RedpollError(Exception):
    """Root of all errors of this program. Its text is for the reader and holds no secret."""

    reason = "internal"
    exit_code = 1

    def __init__(self, *args: object) -> None:
        super().__init__(*(safe_text.valid(each) if isinstance(each, str) else each for each in args))


def bounded(problems: Sequence[str]) -> tuple[str, ...]:
    """The first of them, each of a bounded length, and the number of the others."""
    listed = tuple(
        safe_text.shorten(safe_text.valid(problem), PROBLEM_LENGTH_MAX) for problem in problems[:PROBLEMS_MAX]
    )
    return (
        listed if len(problems) <= PROBLEMS_MAX else (*listed, f"… and {len(problems) - PROBLEMS_MAX} more")
    )


class UsageError(RedpollError):
    """The command line cannot be read: an unknown flag, or a value that does not fit."""

    exit_code = 2


class ConfigError(RedpollError):
    """The configuration is wrong. Holds every mistake found, one line each."""

    def __init__(self, *problems: str) -> None:
        self.problems = bounded(problems)
        super().__init__("\n".join(self.problems))


class InternalError(RedpollError):
    """A bug in this program."""


class RequestError(RedpollError):
    """A request, or a page to compare, cannot be read. The text says what to write instead."""

    def __init__(self, text: str) -> None:
        super().__init__(*bounded([text]))


class NotAllowedError(RedpollError):
    """An address may not be connected to. The text names the option that says so."""


class MisdirectedError(RedpollError):
    """Another shard has what a request asks for. The text names that shard."""


class PageError(RedpollError):
    """There is no page to serve."""


class StoppingError(RedpollError):
    """The exporter stops, so its configuration changes no more."""

    def __init__(self) -> None:
        super().__init__("the exporter is stopping: nothing changes any more")


class TargetError(RedpollError):
    """A poll of one target failed; subclasses say why. Its text is one line of valid text."""

    def __init__(self, text: str = "") -> None:
        super().__init__(safe_text.one_line(text, TEXT_MAX))


class DnsError(TargetError):
    reason = "dns"


class RefusedError(TargetError):
    reason = "refused"


class ResetError(TargetError):
    """The server closed or broke the connection. `answered` is the number of commands of the batch that had
    replies before, None if that is not known. `is_within`: the next reply had begun."""

    reason = "reset"
    answered: int | None = None
    is_within: bool = False


class DeadlineError(TargetError):
    reason = "timeout"


class SilenceError(DeadlineError):
    """The server took the connection, and does not answer."""


class TlsError(TargetError):
    reason = "tls"


class AuthError(TargetError):
    """NOAUTH, WRONGPASS and their older wordings."""

    reason = "auth"


class NoPermError(TargetError):
    reason = "noperm"


class BusyError(TargetError):
    """A script blocks the server (`-BUSY`)."""

    reason = "busy"


class MaxClientsError(TargetError):
    reason = "max_clients"


class ProtocolError(TargetError):
    """The server does not speak RESP, or sent what cannot be a reply."""

    reason = "protocol"


class TooLargeError(TargetError):
    """A reply is larger than the limits."""

    reason = "too_large"


#: code of the error reply that takes the place of a reply which was too large
TOO_LARGE = "TOOLARGE"
#: code of the error reply in the place of one to a command at which the server closes the connection
HANG_UP = "HANGUP"
#: the same if its reply had begun
CUT_OFF = "CUTOFF"
#: code of the error reply in the place of one from a node that did not answer
UNREACHABLE = "UNREACHABLE"

#: codes of error replies that do not refuse a command
NO_REFUSALS = frozenset(
    (
        # not now: the state of the server, of its replicas or of this connection
        *("LOADING", "BUSY", "MASTERDOWN", "READONLY", "NOREPLICAS", "OOM", "MISCONF", "UNKILLABLE"),
        *("NOTBUSY", "EXECABORT", "INPROG", "NOAUTH", "WRONGPASS", "DENIED", TOO_LARGE),
        # not here: another node has the data
        *("TRYAGAIN", "CLUSTERDOWN", "MOVED", "ASK", "CROSSSLOT", UNREACHABLE),
        # not so: the data that the command names are others, or are not there
        *("WRONGTYPE", "INVALIDOBJ", "NOSCRIPT", "NOGROUP", "BUSYKEY", "BUSYGROUP"),
        *("NOQUORUM", "NOGOODSLAVE", "NOMASTERLINK"),
    )
)


class OpenFilesError(TargetError):
    """This process may open no more files, or no more for connections."""

    reason = "open_files"


class CancelledPollError(TargetError):
    """The program cancelled the poll: it is stopping, or the target was removed."""

    reason = "cancelled"


#: all reasons of failed polls: a closed set, in the order of the classes
REASONS: tuple[str, ...] = (*(kind.reason for kind in TargetError.__subclasses__()), TargetError.reason)


class ReplyError(Exception):
    """One error reply of a server: `-CODE text`.

    `raw` is the whole line without the leading `-`, for this program to judge; it may hold secrets that the
    server repeats. `text` is what may be shown of it, and what the exception says: `clean` makes it on first
    use, because a server can send a hundred thousand errors in one reply. `code` is the first word (`NOPERM`,
    `LOADING`, `ERR`).
    """

    __slots__ = ("_clean", "_text", "code", "raw")

    def __init__(self, raw: str, clean: Callable[[str], str] | None = None) -> None:
        super().__init__()  # without the text, which everything that shows an exception would show
        self.raw = raw[:RAW_MAX]
        self.code = self.raw.split(" ", 1)[0]
        self._clean = clean
        self._text: str | None = None

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self.raw if self._clean is None else self._clean(self.raw)
        return self._text

    @property
    def is_refusal(self) -> bool:
        """The server does not take this command: it does not know it, or this user may not run it. The words
        differ from server to server, so every code is a refusal but those that mean something else."""
        return self.code not in NO_REFUSALS

    def as_target_error(self) -> TargetError:
        """The same as a failure of the whole poll, for a reply that a poll cannot do without."""
        low = self.raw.lower()
        if (
            self.code in ("NOAUTH", "WRONGPASS")
            or "operation not permitted" in low
            or "invalid password" in low
        ):
            return AuthError(self.text)
        if self.code == "NOPERM":
            return NoPermError(self.text)
        if self.code == "DENIED":  # protected mode
            return RefusedError(self.text)
        if self.code == "BUSY":
            return BusyError(self.text)
        if self.code == TOO_LARGE:
            return TooLargeError(self.text.removeprefix(f"{TOO_LARGE} "))
        if "max number of clients" in low:
            return MaxClientsError(self.text)
        return ProtocolError(self.text)
