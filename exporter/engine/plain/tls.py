"""TLS between a socket and its channel, by an `ssl.SSLObject` whose handshake is over."""

from __future__ import annotations

import ssl

#: what is received at once
TLS_BYTES = 32768
#: written at once: the memory for what goes out keeps the size of one
PIECE_BYTES = 4096
#: of a record of TLS, and more
_RECORD_BYTES = 32768


class Tls:
    """`unwritten`: clear bytes that wait while the server changes the keys of TLS 1.2. `spare`: clear bytes
    that were received to see whether there are more. `has_ended`: nothing comes any longer, because the
    server has said so, or by `failure`.

    `incoming` may be shared: SSL takes all of it, records that are incomplete too.
    """

    def __init__(self, session: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._session = session
        self._incoming = incoming
        self._outgoing = outgoing
        self.unwritten = b""
        self.spare = b""
        self.has_ended = False
        self.failure: ssl.SSLError | None = None

    def encrypt(self, data: bytes) -> bytes:
        """What to send for these clear bytes."""
        if self.unwritten:
            self.unwritten += data
            return b""
        for at in range(0, len(data), PIECE_BYTES):
            try:
                self._session.write(data[at : at + PIECE_BYTES])
            except ssl.SSLWantReadError:
                self.unwritten = data[at:]
                break
            except ssl.SSLError as error:
                self.failure, self.has_ended = error, True
                break
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """The clear bytes of these."""
        self._incoming.write(data)
        found = []
        try:
            while self._incoming.pending:
                piece = self._session.read(_RECORD_BYTES)
                if not piece:
                    self.has_ended = True
                    break
                found.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.failure, self.has_ended = error, True
        finally:
            self._incoming.read()  # nothing of it may meet another connection
        return b"".join(found)

    def answer(self) -> bytes:
        """What to send because of what has come."""
        waiting = self.unwritten
        if not waiting or self.has_ended:
            return self._outgoing.read()
        self.unwritten = b""
        return self._outgoing.read() + self.encrypt(waiting)
