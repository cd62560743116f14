"""Polls of some collectors of a real server, over one blocking connection and one to each further node
that is asked."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Sequence
from typing import Any

import hiredis

from exporter import engine
from exporter.collectors._contract import AnyCollector
from exporter.collectors._enabled import enable
from exporter.collectors.info import InfoCollector
from exporter.errors import ReplyError
from exporter.options.commandline import parse
from exporter.polling.memory import TargetMemory
from exporter.polling.poll import Poll
from exporter.protocol.command import Command, pack
from tests.poll_fixture import poll_context
from tests.servers import HOST, PATIENCE_S


class Session:
    """One target's polls. `argv` are the exporter's flags. `sent` lists the arguments of what a poll
    asked, INFO's own apart."""

    def __init__(self, port: int, *argv: str, db: int = 0) -> None:
        self.options = parse(argv, {})
        self.memory = TargetMemory()
        self.sent: list[tuple[Any, ...]] = []
        self.batches = 0
        self.poll_state: Poll | None = None
        self._db = db
        self._port = port
        self._wires: dict[int, tuple[socket.socket, hiredis.Reader]] = {}
        if db:
            self.ask("SELECT", db)
        self.poll()  # learns the facts

    def set_facts(self, **changes: Any) -> None:
        assert self.memory.facts is not None
        self.memory.facts = dataclasses.replace(self.memory.facts, **changes)

    def poll(self, *collectors: AnyCollector) -> dict[str, str]:
        """Value by series of what the collectors wrote."""
        enabled = [
            enable(each, "redis", label_max=self.options.metrics.max_label_length)
            for each in collectors or (InfoCollector(),)
        ]
        labels = {each.name: engine.Labels(b"") for each in enabled}
        context = poll_context(self.memory, labels, self.options, db=self._db)
        poll = self.poll_state = Poll(enabled, context, time.time(), time.monotonic())
        self.sent, self.batches = [], 0
        batch = poll.begin()
        began_at = time.monotonic()
        while batch:
            self.batches += 1
            self.sent += [command.args for command in batch]
            batch = poll.receive(self._exchange(batch), time.monotonic() - began_at)
        assert poll.results.error is None, poll.results.error
        lines = b"".join(block.samples for block in poll.results.blocks.values()).decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines)

    def ask(self, *args: str | bytes | int) -> Any:
        """A command on the connection of the polls."""
        return self._exchange([Command.of(*args)])[0]

    def close(self) -> None:
        for wire, _ in self._wires.values():
            wire.close()

    def _exchange(self, batch: Sequence[Command]) -> list[Any]:
        replies: list[Any] = [None] * len(batch)
        ports = [int(command.node.rpartition(":")[2]) if command.node else self._port for command in batch]
        for port in dict.fromkeys(ports):
            numbers = [number for number, each in enumerate(ports) if each == port]
            commands = [batch[number] for number in numbers]
            try:
                answers = self._converse(port, commands)
            except ConnectionError as error:
                answers = [ReplyError(f"UNREACHABLE {error}")] * len(commands)
            for number, reply in zip(numbers, answers, strict=True):
                replies[number] = reply
        return replies

    def _converse(self, port: int, commands: Sequence[Command]) -> list[Any]:
        if port not in self._wires:
            wire = socket.create_connection((HOST, port), timeout=PATIENCE_S)
            self._wires[port] = wire, hiredis.Reader(replyError=lambda text: ReplyError(str(text)))
        wire, reader = self._wires[port]
        wire.sendall(pack(commands))
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = reader.gets()
            if reply is False:
                data = wire.recv(1 << 20)
                assert data, "the server closed the connection"
                reader.feed(data)
            else:
                replies.append(reply)
        return replies
