"""What to do about a target that is down, by the reason. docs/troubleshooting.md says more."""

from __future__ import annotations

from collections.abc import Mapping

#: by the reasons of `exporter.errors.REASONS`
ADVICE: Mapping[str, str] = {
    "dns": "Look the name up from the machine or container of the exporter, and correct the address.",
    "refused": "Start the server, or correct host and port. For an exporter on another machine it has to "
    "listen on more than 127.0.0.1 (bind).",
    "reset": "Look into the log of the server, and at proxies between. A port with TLS needs rediss://, one "
    "without it redis://.",
    "timeout": "A firewall may drop packets, or the server is busy or swaps. A traced poll shows how far it "
    "comes.",
    "tls": "Let authority, server name and client certificate (options with tls below) fit the server.",
    "auth": "Correct user or password: Login below says which rule gave them.",
    "noperm": "Grant what the user lacks: redis_exporter acl prints the rule.",
    "busy": "A script runs for long on the server: wait, or end it with SCRIPT KILL.",
    "max_clients": "Raise maxclients of the server, or close connections of others. The exporter needs two.",
    "protocol": "Look whether this is the port of a Redis server.",
    "too_large": "Look whether this is the port of a Redis server. If it is, raise --reply.max-bytes.",
    "open_files": "Raise the limit on open files of the exporter: it needs one for each target and client.",
    "cancelled": "Nothing: the exporter gave the poll up, because its targets have changed.",
    "internal": "This is a mistake of the exporter: please report it with the lines of its log.",
}
