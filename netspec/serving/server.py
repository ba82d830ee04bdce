"""Serves a Service on a socket until it is asked to end."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import threading
from collections.abc import Iterable, Iterator

import uvicorn

from netspec.diagnostics import NetspecError, os_reason
from netspec.serving.app import make_app
from netspec.serving.service import Service

_LONGEST_END = 10  # seconds that requests at work have when the server ends
_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises: NetspecError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        raise NetspecError(f"can't listen on {host}, port {port}: {os_reason(error)}") from None


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(host: str, allowed: Iterable[str]) -> list[str]:
    """What a Host header may be: any, unless this machine alone is served."""
    own = ["localhost", "127.0.0.1", "[::1]", host, *allowed]
    return own if is_loopback(host) else []


def serve(service: Service, listening: socket.socket, hosts: Iterable[str] = ()) -> None:
    """Serves until SIGINT or SIGTERM; requests at work are answered first.

    Args: hosts: what a request's Host header may be, none for any.
    """
    config = uvicorn.Config(
        make_app(service, hosts),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_LONGEST_END,
        backlog=_BACKLOG,
    )
    try:
        with _end_is_quiet():
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()
        service.close()


@contextlib.contextmanager
def _end_is_quiet() -> Iterator[None]:
    """A signal is how a server ends: uvicorn raises it once more when it has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: None) for number in stop]
    try:
        yield
    finally:
        for number, handler in zip(stop, before, strict=True):
            signal.signal(number, handler)
