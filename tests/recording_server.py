"""Servers that keep what they are sent, for tests of who gets which password."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

from tests.servers import HOST, Conversation, ScriptedServer, wait_until
from tests.watch_harness import bulk, info

#: fields of INFO
Facts = Mapping[str, str | int]
#: the reply to the words of a command, in upper case; None leaves it to `told`
Answer = Callable[[Sequence[str]], bytes | None]


def array(*items: bytes) -> bytes:
    return b"*%d\r\n%s" % (len(items), b"".join(items))


def number(value: int) -> bytes:
    return b":%d\r\n" % value


def texts(*values: str) -> bytes:
    return array(*(bulk(value.encode()) for value in values))


def told(replies: Mapping[str, bytes], facts: Facts) -> Answer:
    """As a server of its own, with these `facts` in INFO. `replies` are by the first words of a command."""
    by_words = {"INFO": info(run_id=uuid4().hex, **facts), "CONFIG": array(), **replies}

    def answer(words: Sequence[str]) -> bytes:
        return by_words.get(" ".join(words[:2])) or by_words.get(words[0]) or b"+OK\r\n"

    return answer


class RecordingServer:
    """`host` may be the path of a unix socket. `sent` is all that it was sent."""

    def __init__(self, host: str = HOST, answer: Answer | None = None, port: int = 0) -> None:
        self.sent: list[list[bytes]] = []
        self._answer = answer or told({}, {})
        self._rest = told({}, {})
        self._server = ScriptedServer(self._talk, host=host, port=port)
        self.port = self._server.port
        self.place = f"{host}:{self.port}" if self.port else host
        self.addr = f"redis://{self.place}" if self.port else f"unix://{host}"

    @property
    def accepted(self) -> int:
        """How many connections there were."""
        return self._server.accepted

    @property
    def logins(self) -> set[tuple[str, ...]]:
        """What came with AUTH: a password, or a user and a password."""
        return {tuple(map(bytes.decode, words[1:])) for words in self.sent if words[0].upper() == b"AUTH"}

    def hears_again(self) -> None:
        """Return when several polls have come from now on: in this time others would have come too."""
        before = self._polls
        wait_until(lambda: self._polls > before + 2, f"further polls of {self.place}")

    @property
    def _polls(self) -> int:
        return sum(words[0].upper() not in (b"AUTH", b"CLIENT") for words in self.sent)

    def close(self) -> None:
        self._server.close()

    def _talk(self, talk: Conversation) -> None:
        while True:
            words = talk.command()
            self.sent.append(words)
            upper = [word.decode("utf-8", "replace").upper() for word in words]
            talk.send(self._answer(upper) or self._rest(upper) or b"")


class RecordingWeb:
    """A web server. It answers with this list of targets, or leads to another address with status 302.
    `sent` are the headers of requests."""

    def __init__(self, groups: list[object], leads_to: str = "", host: str = HOST) -> None:
        self.groups = groups
        self.sent: list[dict[str, str]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.sent.append(dict(self.headers))
                body = json.dumps(web.groups).encode()
                self.send_response(302 if leads_to else 200)
                self.send_header("Location", leads_to)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self._server.server_address[1]}/targets"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> RecordingWeb:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
