"""The HTTP side of a Service, as an ASGI application.

A client gives a picture's bytes and nothing else: no path or address of its own is ever read.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from math import isfinite
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from netspec.diagnostics import NetspecError
from netspec.serving.batcher import Full
from netspec.serving.metrics import CONTENT_TYPE
from netspec.serving.multipart import MULTIPART, file_of, media_type
from netspec.serving.service import NetFailed, Service, TooLarge

Handler = Callable[[Request], Awaitable[Response]]
_RAW = ("application/octet-stream", "")  # bytes whose kind is not said
_PAGE = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_MOST_TOP = 1000


def make_app(service: Service, hosts: Iterable[str] = ()) -> Starlette:
    """The application.

    Args: hosts: what a request's Host header may be, none for any: so a page from elsewhere whose
        name is made to point to this machine is refused.
    """
    app = _App(service, frozenset(host.lower() for host in hosts))
    routes = [
        Route(service.endpoint, app.counted(app.picture), methods=["POST"]),
        Route("/health", app.counted(app.health)),
        Route("/metrics", app.counted(app.metrics)),
        *(Route(path, app.counted(app.page)) for path in _PAGE),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: app.unrouted})


class _App:
    def __init__(self, service: Service, hosts: frozenset[str]) -> None:
        self.service, self.hosts = service, hosts
        self.at_work = self.buffered = 0  # requests, and bytes of their bodies

    def counted(self, handler: Handler) -> Handler:
        """The handler with its faults as answers, its time counted, its headers set."""

        async def handle(request: Request) -> Response:
            began = time.perf_counter()
            try:
                self._require_host(request)
                response = await handler(request)
            except HTTPException as error:
                response = await self.refused(request, error)
            except Exception as error:
                # the user's own server: what is wrong goes to its log, not to the client
                traceback.print_exception(error, file=sys.stderr)
                response = _error(500, "the server has failed; its own output says why")
            response.headers.update(_HEADERS)
            took = time.perf_counter() - began
            self.service.metrics.request(request.url.path, response.status_code, took)
            return response

        return handle

    def _require_host(self, request: Request) -> None:
        host = request.headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self.hosts and name not in self.hosts:
            raise HTTPException(421, "the Host header names another server; --allow-host allows it")

    async def unrouted(self, request: Request, error: Exception) -> Response:
        """The answer for a path or a method that is not there."""
        response = await self.refused(request, error)
        self.service.metrics.request("other", response.status_code, 0)
        return response

    async def refused(self, request: Request, error: Exception) -> Response:
        """An answer that says what is wrong with a request."""
        assert isinstance(error, HTTPException)
        message = error.detail
        if error.status_code == 404:
            message = f"there is nothing here; POST a picture to {self.service.endpoint}"
        response = _error(error.status_code, message)
        response.headers.update({**_HEADERS, **(error.headers or {})})
        return response

    async def picture(self, request: Request) -> Response:
        """What the net says of the picture in the body."""
        top = _number(request, "top", 5, 1, _MOST_TOP)
        threshold = _number(request, "threshold", None, 0, 1)
        limits = self.service.limits
        if self.at_work >= limits.requests:
            raise _busy()
        self.at_work += 1
        try:
            async with asyncio.timeout(limits.seconds) as whole:
                data = await self._picture_bytes(request)
                return JSONResponse(await self.service.answer(data, int(top or 1), threshold))
        except TimeoutError:
            assert whole.expired()
            message = f"the request took more than {limits.seconds:g} s"
            raise HTTPException(503, message, {"Retry-After": "1"}) from None
        except Full:
            raise _busy() from None
        except ClientDisconnect:
            return _error(400, "the client has gone")
        except NetFailed as error:
            print(f"error: {error}", file=sys.stderr)
            raise HTTPException(500, str(error)) from None
        except TooLarge as error:
            raise HTTPException(413, str(error)) from None
        except NetspecError as error:
            raise HTTPException(400, error.diagnostics[0].message) from None
        finally:
            self.at_work -= 1

    async def _picture_bytes(self, request: Request) -> bytes:
        """The picture of a body: the body itself, or the file of a form."""
        kind, boundary = media_type(request.headers.get("content-type", ""))
        if kind != MULTIPART and kind not in _RAW and not kind.startswith("image/"):
            message = f"a picture is expected (image/…, or a file in {MULTIPART}), got {kind}"
            raise HTTPException(415, message)
        body = await self._body(request)
        if kind == MULTIPART:
            try:
                found = file_of(body, boundary)
            except ValueError as error:
                raise HTTPException(400, str(error)) from None
            if found is None:
                raise HTTPException(400, "the form has no file")
            body = found
        if not body:
            raise HTTPException(400, "the body is empty, expected a picture")
        return body

    async def _body(self, request: Request) -> bytes:
        most = self.service.limits.body
        stated = request.headers.get("content-length", "0")
        if stated.isdecimal() and int(stated) > most:
            raise _too_large(most)
        body, held = bytearray(), 0
        try:
            async for part in request.stream():
                if len(body) + len(part) > most:
                    raise _too_large(most)
                # all bodies together: many large ones would take the machine's memory
                if self.buffered + len(part) > most * 16:
                    raise _busy()
                body += part
                held += len(part)
                self.buffered += len(part)
            return bytes(body)
        finally:
            self.buffered -= held

    async def health(self, request: Request) -> Response:
        """Whether the net answers, and what it is."""
        facts = self.service.facts()
        return JSONResponse(facts, 200 if facts["status"] == "ok" else 503)

    async def metrics(self, request: Request) -> Response:
        """What is counted."""
        text = self.service.metrics.text(self.service.batcher.waiting)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def page(self, request: Request) -> Response:
        """The page to drop a picture on, and its files."""
        name = _PAGE[request.url.path]
        content = files("netspec.serving").joinpath("page", name).read_bytes()
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]])


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _busy() -> HTTPException:
    return HTTPException(503, "too many requests at once", {"Retry-After": "1"})


def _too_large(most: int) -> HTTPException:
    # what is still to come is not read
    message = f"the body has more than {most:,} bytes"
    return HTTPException(413, message, {"Connection": "close"})


def _number(
    request: Request, name: str, default: float | None, low: float, high: float
) -> float | None:
    """A number of the query, checked against its range."""
    text: Any = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text[:32])
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not low <= value <= high:
        raise HTTPException(400, f"'{name}' must be from {low:g} to {high:g}")
    return value
