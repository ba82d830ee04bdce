"""The page of `netspec view` over HTTP on this machine, drawn anew when its file is saved."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from netspec.page.load_page import Page
from netspec.page.write_page import page_html

HOST = "127.0.0.1"
_EVERY = 0.25  # seconds between looks at the file
_BEAT = 10.0  # seconds after which a browser that has gone is noticed


class PageServer(ThreadingHTTPServer):
    """Serves a file's page.

    Args:
        path: the net's file.
        load: what reads it.
        port: 0 takes any that is free.
        sketch: what is shown as long as the file has not made a net.
    """

    daemon_threads = True

    def __init__(
        self, path: str, load: Callable[[], Page], port: int = 0, sketch: Page | None = None
    ) -> None:
        super().__init__((HOST, port), _Handler)
        self.path, self.load = path, load
        self.page = load()
        self.good = self.page if self.page.data is not None else sketch or self.page
        self.changes = 0
        self.changed = threading.Condition()
        self.is_closing = False

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    def watch(self) -> None:
        """Loads the page anew whenever the file changes, until the server closes."""
        seen = _stamp(self.path)
        while not self.is_closing:
            with self.changed:
                self.changed.wait_for(lambda: self.is_closing, _EVERY)
            stamp = _stamp(self.path)
            if stamp == seen:
                continue
            seen, page = stamp, self.load()
            with self.changed:
                self.page = page
                self.good = page if page.data is not None else self.good
                self.changes += 1
                self.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone in the middle of an answer is no fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def is_past(self, changes: int) -> bool:
        """Whether there has been another change, or will be none."""
        return self.is_closing or self.changes != changes

    def close(self) -> None:
        """Ends the watch and the requests that wait for it."""
        with self.changed:
            self.is_closing = True
            self.changed.notify_all()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "netspec"
    sys_version = ""

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        port = self.server.server_port
        if host not in (f"{HOST}:{port}", f"localhost:{port}"):
            # a page of another site that has had its name mean this machine
            self.send_error(HTTPStatus.FORBIDDEN, "this server is for this machine alone")
        elif self.path == "/":
            good = self.server.good
            data = good.data or _no_net(self.server)
            text = page_html({**data, "faults": self.server.page.faults}, is_live=True)
            self._send(text, "text/html; charset=utf-8")
        elif self.path == "/net.json":
            page = self.server.page
            answer = {"net": page.data, "faults": page.faults, "text": page.text}
            self._send(json.dumps(answer), "application/json")
        elif self.path == "/events":
            self._send_events()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _send_events(self) -> None:
        """A message for each change of the file, until the browser or the server closes."""
        server = self.server
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        seen = server.changes
        try:
            while not server.is_closing:
                with server.changed:
                    server.changed.wait_for(partial(server.is_past, seen), _BEAT)
                    is_new, seen = server.changes != seen, server.changes
                self.wfile.write(b"data: changed\n\n" if is_new else b": still here\n\n")
                self.wfile.flush()
        except OSError:
            pass  # the browser has gone
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not reported."""


def _no_net(server: PageServer) -> dict[str, Any]:
    """The page of a file that has made no net yet: its text and faults."""
    empty: dict[str, Any] = {"name": os.path.basename(server.path), "path": server.path}
    empty |= {"phases": [], "totals": "", "layers": [], "edges": [], "blocks": [], "folded": False}
    return empty | {"source": server.page.text}


def _stamp(path: str) -> tuple[int, ...]:
    """What changes when a file is saved."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino)
