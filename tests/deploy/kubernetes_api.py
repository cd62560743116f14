"""As much of the API of Kubernetes as Prometheus needs to find pods: lists of them, and watches."""

from __future__ import annotations

import json
import queue
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers import HOST

#: how often a watch looks whether the server has ended
LOOK_S = 0.1


def pod(
    name: str,
    namespace: str,
    *,
    address: str = HOST,
    ports: tuple[int, ...] = (6379, 9121),
    phase: str = "Running",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON of a pod, with one container for each port."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}-{name}",
            "resourceVersion": "1",
            "labels": labels or {},
            "annotations": annotations or {},
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {"name": f"container-{port}", "image": "image", "ports": [{"containerPort": port}]}
                for port in ports
            ],
        },
        "status": {"phase": phase, "podIP": address, "hostIP": address},
    }


class KubernetesApi:
    """Answers on `url` until `close`. `pods` may change by `add` and `remove`: watches see it."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = {each["metadata"]["uid"]: each for each in pods}
        self._version = 1
        self._watches: list[tuple[str, queue.Queue[dict[str, Any]]]] = []
        self._lock = threading.Lock()
        self.closed = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def add(self, added: dict[str, Any]) -> None:
        self._change("ADDED", added)

    def remove(self, name: str) -> None:
        [gone] = [each for each in self._pods.values() if each["metadata"]["name"] == name]
        self._change("DELETED", gone)

    def _change(self, kind: str, changed: dict[str, Any]) -> None:
        with self._lock:
            self._version += 1
            changed["metadata"]["resourceVersion"] = str(self._version)
            if kind == "DELETED":
                del self._pods[changed["metadata"]["uid"]]
            else:
                self._pods[changed["metadata"]["uid"]] = changed
            for namespace, watch in self._watches:
                if namespace == changed["metadata"]["namespace"]:
                    watch.put({"type": kind, "object": changed})

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        found = re.fullmatch(r"/api/v1/namespaces/([\w-]+)/pods", url.path)
        if found is None:
            self._send(request, 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})
        elif asked.get("watch") in ("1", "true"):
            self._watch(request, found[1], initial=asked.get("sendInitialEvents") == "true")
        else:
            with self._lock:
                items, version = self._of(found[1]), str(self._version)
            answer = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version}}
            self._send(request, 200, {**answer, "items": items})

    def _of(self, namespace: str) -> list[dict[str, Any]]:
        return [each for each in self._pods.values() if each["metadata"]["namespace"] == namespace]

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _watch(self, request: BaseHTTPRequestHandler, namespace: str, *, initial: bool) -> None:
        events: queue.Queue[dict[str, Any]] = queue.Queue()
        with self._lock:
            if initial:
                for each in self._of(namespace):
                    events.put({"type": "ADDED", "object": each})
                events.put(self._bookmark())
            self._watches.append((namespace, events))
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Connection", "close")
        request.end_headers()
        request.close_connection = True
        while not self.closed.is_set():
            try:
                request.wfile.write(json.dumps(events.get(timeout=LOOK_S)).encode() + b"\n")
                request.wfile.flush()
            except queue.Empty:
                continue
            except OSError:
                return  # Prometheus has ended

    def _bookmark(self) -> dict[str, Any]:
        """The event that ends the first ones."""
        metadata = {
            "resourceVersion": str(self._version),
            "annotations": {"k8s.io/initial-events-end": "true"},
        }
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": []}}
        return {"type": "BOOKMARK", "object": pod}

    def close(self) -> None:
        self.closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
