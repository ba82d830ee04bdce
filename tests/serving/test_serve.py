"""`netspec serve`: pictures by HTTP, many at once, and nothing but pictures."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.cli import main
from netspec.pytorch.classify import Classifier
from netspec.pytorch.detect import Detector
from netspec.serving.batcher import Batcher, Full
from netspec.serving.multipart import file_of
from tests.pictures import SSD, picture, small_net, untrained_ssd

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from netspec.serving.app import make_app  # noqa: E402
from netspec.serving.server import hosts_of, listen  # noqa: E402
from netspec.serving.service import Limits, Service  # noqa: E402

Answer = tuple[int, dict[str, str], bytes]


class Running:
    """A service in a thread of this process."""

    def __init__(self, net: Classifier | Detector, limits: Limits, **options) -> None:
        self.service = Service(net, limits, **options)
        self.socket = listen("127.0.0.1", 0)
        self.port = self.socket.getsockname()[1]
        app = make_app(self.service, hosts_of("127.0.0.1", ["example.org"]))
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()
        self.service.close()

    def ask(self, method: str, path: str, body=None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, body, kind: str = "image/png", path: str = "/classify", **headers: str):
        status, _, text = self.ask("POST", path, body, Content_Type=kind, **headers)
        return status, json.loads(text)


@pytest.fixture
def run(tmp_path):
    """Starts a service of the small net."""
    running: list[Running] = []

    def start(limits: Limits = Limits(), **options) -> Running:  # noqa: B008 - it is frozen
        small_net(tmp_path)
        labels = [f"name {i}" for i in range(6)]
        net = Classifier(tmp_path / "deploy.prototxt", tmp_path / "net.caffemodel", labels)
        running.append(Running(net, limits, **options))
        return running[-1]

    yield start
    for each in running:
        each.close()


@pytest.fixture
def png(tmp_path) -> bytes:
    return picture(tmp_path / "a.png").read_bytes()


def expected(folder: Path, data: bytes) -> list[dict]:
    paths = folder / "deploy.prototxt", folder / "net.caffemodel"
    return netspec.classify(data, *paths, [f"name {i}" for i in range(6)])[0].rows()


def same(found: dict, rows: list[dict]) -> bool:
    return [each["class"] for each in found["classes"]] == [each["class"] for each in rows] and (
        np.allclose([e["score"] for e in found["classes"]], [e["score"] for e in rows], rtol=1e-5)
    )


def form(data: bytes, name: str = "a.png", boundary: str = "xyz") -> tuple[bytes, str]:
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="note"\r\n\r\nnot the file\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def test_a_picture_as_body_or_as_a_forms_file(run, png, tmp_path):
    server = run()
    rows = expected(tmp_path, png)
    for body, kind in ((png, "image/png"), (png, "application/octet-stream"), form(png)):
        status, found = server.post(body, kind)
        assert status == 200
        assert (found["width"], found["height"]) == (29, 33)
        assert same(found, rows)
        assert found["classes"][0]["label"] == f"name {rows[0]['class']}"
    assert len(server.post(png, path="/classify?top=2")[1]["classes"]) == 2


def test_two_hundred_at_once_share_batches_and_get_their_own_answers(run, tmp_path):
    server = run(wait=0.01)
    pictures = [picture(tmp_path / f"{i}.png", seed=i).read_bytes() for i in range(20)]
    rows = [expected(tmp_path, data) for data in pictures]
    together = threading.Barrier(200)

    def ask(number: int) -> bool:
        together.wait()
        status, found = server.post(pictures[number % 20])
        return status == 200 and same(found, rows[number % 20])

    with ThreadPoolExecutor(200) as pool:
        assert all(pool.map(ask, range(200)))
    _, headers, text = server.ask("GET", "/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    metrics = dict(
        line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#")
    )
    assert metrics['netspec_requests_total{path="/classify",status="200"}'] == "200"
    assert float(metrics["netspec_batch_items_sum"]) == 200
    assert int(metrics["netspec_batch_items_count"]) < 150  # many went together
    assert metrics['netspec_request_seconds_bucket{le="+Inf"}'] == "200"
    assert metrics["netspec_waiting"] == "0"


def test_what_is_no_picture_is_refused(run, png, tmp_path):
    server = run(Limits(body=20_000, pixels=2000))
    (tmp_path / "secret.png").write_bytes(png)
    path = str(tmp_path / "secret.png")
    big = io.BytesIO()
    Image.new("RGB", (100, 100)).save(big, "PNG")
    assert server.post(f'{{"url": "file://{path}"}}'.encode(), "application/json")[0] == 415
    assert server.post(f"path={path}".encode(), "application/x-www-form-urlencoded")[0] == 415
    for body, kind, status, message in (
        (b"text", "text/plain", 415, "a picture is expected"),
        (path.encode(), "image/png", 400, "does not decode as an image"),
        (b"http://127.0.0.1/a.png", "", 400, "does not decode as an image"),
        (png[:200], "image/png", 400, "does not decode as an image"),
        (b"", "image/png", 400, "the body is empty"),
        (big.getvalue(), "image/png", 413, "has 10,000 pixels, at most 2,000 are read"),
        (b"x" * 20_001, "image/png", 413, "the body has more than 20,000 bytes"),
        (form(path.encode())[0], form(b"")[1], 400, "does not decode as an image"),
        (b"--xyz--\r\n", "multipart/form-data; boundary=xyz", 400, "the form has no file"),
        (b"none", "multipart/form-data; boundary=xyz", 400, "does not begin with its boundary"),
        (b"none", "multipart/form-data", 400, "needs a boundary"),
    ):
        answer, found = server.post(body, kind)
        assert answer == status, (body[:40], kind, found)
        assert message in found["error"]
    assert server.post(png, path=f"/classify?path={path}&url=file://{path}")[0] == 200
    chunks = (b"x" * 5000 for _ in range(10))  # of a length that is not said before
    assert server.ask("POST", "/classify", chunks, Content_Type="image/png")[0] == 413
    for query in ("top=0", "top=x", "top=1e9", "threshold=2", "threshold=nan"):
        assert server.post(png, path=f"/classify?{query}")[0] == 400
    assert server.post(png)[0] == 200  # it goes on


def test_paths_methods_and_hosts(run, png):
    server = run()
    assert server.ask("GET", "/classify")[0] == 405
    assert server.post(png, path="/detect")[0] == 404
    assert server.ask("GET", "/../secret")[0] == 404
    assert server.post(png, Host="evil.example")[0] == 421
    assert server.post(png, Host="example.org:1234")[0] == 200
    status, _, text = server.ask("GET", "/health")
    assert (status, json.loads(text)["status"]) == (200, "ok")
    assert json.loads(text)["endpoint"] == "/classify"


def test_the_page_runs_nothing_from_elsewhere(run):
    server = run()
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javas")):
        status, headers, text = server.ask("GET", path)
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert b"http" not in text
        assert b"style=" not in text
        assert b"innerHTML" not in text
    assert not re.search(rb"<script(?! src=)", server.ask("GET", "/")[2])


def test_a_client_that_sends_slowly_does_not_stay(run):
    server = run(Limits(seconds=0.3))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000\r\n\r\nabc"
        )
        client.settimeout(20)
        assert client.recv(4096).startswith(b"HTTP/1.1 503")


def test_more_requests_than_may_are_told_to_come_again(run, png):
    server = run(Limits(requests=2, seconds=5))
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
    for client in held:
        client.sendall(
            b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000\r\n\r\nabc"
        )
    deadline = time.monotonic() + 10
    while server.post(png)[0] != 503:
        assert time.monotonic() < deadline
    assert server.ask("GET", "/health")[0] == 200
    for client in held:
        client.close()
    while server.post(png)[0] != 200:
        assert time.monotonic() < deadline


def test_boxes_of_an_ssd(tmp_path):
    untrained_ssd(tmp_path / "ssd.caffemodel")
    detector = Detector(
        SSD, tmp_path / "ssd.caffemodel", said={"scale": 1 / 64, "mean_value": (60,)}
    )
    data = picture(tmp_path / "a.png", 60, 200).read_bytes()
    (wanted,) = detector.detect([data])
    server = Running(detector, Limits())
    try:
        status, found = server.post(data, path="/detect")
        assert (status, found["width"], found["height"]) == (200, 200, 60)
        assert [box["label"] for box in found["boxes"]] == [box.label for box in wanted.boxes]
        assert wanted.boxes
        few = server.post(data, path="/detect?threshold=0.8")[1]["boxes"]
        assert few == [box for box in found["boxes"] if box["score"] >= 0.8]
        assert 0 < len(few) < len(wanted.boxes)
        assert server.post(data, path="/classify")[0] == 404
    finally:
        server.close()


def test_a_batch_that_fails_costs_its_own_pictures_alone():
    def run(items: np.ndarray) -> list[float]:
        if items.max() > 1:
            raise ValueError("no")
        return [float(item.sum()) for item in items]

    batcher = Batcher(run, most=4, longest=3)
    bad, good = np.full((1, 2), 9, np.float32), np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="no"):
        batcher.submit(bad).result(10)
    assert batcher.submit(good).result(10) == [2.0, 2.0]
    batcher.close()
    with pytest.raises(Full):
        batcher.submit(good)


def test_what_waits_goes_together_and_what_is_given_up_is_not_computed():
    entered, go_on, sizes = threading.Event(), threading.Event(), []

    def run(items: np.ndarray) -> list[int]:
        sizes.append(len(items))
        entered.set()
        go_on.wait(10)
        return list(range(len(items)))

    batcher = Batcher(run, most=4, longest=8)
    one = np.ones((1, 2), np.float32)
    first = batcher.submit(one)
    entered.wait(10)
    later = [batcher.submit(one) for _ in range(6)]
    assert later[1].cancel()
    assert batcher.waiting == 6
    go_on.set()
    first.result(10)
    assert [future.result(10) for future in (later[0], later[2], later[5])] == [[0], [1], [1]]
    batcher.close()
    assert sizes == [1, 3, 2]  # the one that was given up took its place in the batch


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_forms_file_is_found_whatever_it_holds(size):
    data = np.random.default_rng(size).bytes(size) + b"\r\n--xy\r\n\r\n"
    assert file_of(form(data)[0], "xyz") == data


def test_the_command_listens_and_ends_with_its_signal(tmp_path, png):
    options = small_net(tmp_path)
    words = [options[1], *options[2:], "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "netspec", "serve", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"answers at http://127.0.0.1:(\d+)/classify", line):
                break
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        connection.request("POST", "/classify", png, {"Content-Type": "image/png"})
        assert json.loads(connection.getresponse().read())["classes"]
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_the_commands_faults(tmp_path, capsys):
    options = small_net(tmp_path)
    net = [options[1], *options[2:]]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", *net, "--port", port]) == 1
        assert f"can't listen on 127.0.0.1, port {port}: Address already in use" in (
            capsys.readouterr().err
        )
    assert main(["serve", *net, "--port", "0", "--mean", "none.npy"]) == 1
    assert "the mean file 'none.npy' does not exist" in capsys.readouterr().err
    assert main(["serve", *net, "--host", "no such host", "--port", "0"]) == 1
    assert "can't listen on no such host" in capsys.readouterr().err
