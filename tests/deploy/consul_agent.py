"""As much of an agent of Consul as Prometheus needs to find a service: who the agent is, and the health of
the service. It runs the HTTP checks of what is registered."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers import HOST

#: how often a request that waits for a change looks whether there is one
LOOK_S = 0.1
NODE = "node-1"


class ConsulAgent:
    """Answers at `place` until `close`. It knows registrations in the form of Consul's files."""

    def __init__(self) -> None:
        self._services: list[dict[str, Any]] = []
        self._index = 1
        self._closed = threading.Event()
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                agent.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.place = f"{HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def register(self, registration: dict[str, Any]) -> None:
        self._services.append(registration["service"])
        self._index += 1

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        name = url.path.removeprefix("/v1/health/service/")
        if url.path == "/v1/agent/self":
            self._send(request, {"Config": {"Datacenter": "dc1", "NodeName": NODE}})
        elif name != url.path:
            while int(asked.get("index", 0)) >= self._index and not self._closed.wait(LOOK_S):
                pass
            self._send(request, [self._entry(each) for each in self._services if each["name"] == name])
        else:
            request.send_error(404)

    def _entry(self, service: dict[str, Any]) -> dict[str, Any]:
        return {
            "Node": {"Node": NODE, "Address": HOST, "Datacenter": "dc1", "Meta": {}, "TaggedAddresses": {}},
            "Service": {
                "ID": service.get("id", service["name"]),
                "Service": service["name"],
                "Tags": service["tags"],
                "Meta": service["meta"],
                "Address": "",
                "Port": service["port"],
            },
            "Checks": [
                {"Node": NODE, "CheckID": check["name"], "Status": status_of(check)}
                for check in service["checks"]
            ],
        }

    def _send(self, request: BaseHTTPRequestHandler, answer: object) -> None:
        body = json.dumps(answer).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.send_header("X-Consul-Index", str(self._index))
        request.end_headers()
        request.wfile.write(body)

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def status_of(check: dict[str, str]) -> str:
    """What Consul makes of an HTTP check: 2xx passes, 429 is a warning, all else is critical."""
    try:
        with urllib.request.urlopen(check["http"], timeout=float(check["timeout"].removesuffix("s"))):
            return "passing"
    except urllib.error.HTTPError as error:
        error.close()
        return "warning" if error.code == 429 else "critical"
    except OSError:
        return "critical"
