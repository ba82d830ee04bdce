"""Feeding, and runs in which it counts.

Raw records of 256×256 against torch's DataLoader and against one thread, JPEGs against their
decoder alone; mnist_alexnet from the command to its last snapshot against a script with a
DataLoader, and to its first iteration against a script that builds it by hand.

`python -m benchmarks.feeding raw` runs the rows of one kind: raw, jpeg, run or start. With
FEEDING_BASELINE=PATH one more row is against one thread of the netspec that lies there.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import IO, Any

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

import netspec
from benchmarks.lmdb_dataset import LmdbDataset
from benchmarks.side_by_side import interleaved, report
from netspec.readers.batches import batches
from netspec.readers.crew import default_workers
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter

ROOT = Path(__file__).parent.parent
RECORDS, BATCH, BATCHES = 512, 64, 16  # batches a round
SIDE, CROP, MEAN = 256, 227, (104.0, 117.0, 123.0)
NET = """layer {{ name: "data" type: "Data" top: "data" top: "label"
  transform_param {{ crop_size: {crop} mirror: true {means} }}
  data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }} }}"""
# what the netspec of another folder runs: a round for each line of stdin
ONE_THREAD = """import sys, netspec
with netspec.batches(netspec.load(sys.argv[1], "TRAIN"), seed=1, prefetch=0) as stream:
    for line in sys.stdin:
        for _ in range(int(line)): next(stream)
        print(flush=True)"""


def photos(count: int) -> list[np.ndarray[Any, Any]]:
    """What compresses as photos do, to some 30 KB as a JPEG of quality 92. Shapes: (H, W, 3)."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
        large = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
        noise = rng.normal(0, 9, (SIDE, SIDE, 1)).astype(np.int16)
        found.append((large + noise).clip(0, 255).astype(np.uint8))
    return found


def jpeg(pixels: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return file.getvalue()


def data_net(folder: Path, name: str, records: Sequence[Datum]) -> Path:
    """A net of one Data layer, with a database of some records, which come round and round."""
    with LmdbWriter(folder / name) as writer:
        for i in range(RECORDS):
            writer.put(b"%08d" % i, records[i % len(records)].SerializeToString())
    means = " ".join(f"mean_value: {value:g}" for value in MEAN)
    path = folder / f"{name}.prototxt"
    path.write_text(NET.format(crop=CROP, means=means, source=folder / name, batch=BATCH))
    return path


def taking(stream: Any, count: int = BATCHES) -> Callable[[], None]:
    def take() -> None:
        for _ in range(count):
            next(stream)

    return take


def _against(
    title: str, seconds: dict[str, list[float]], of: str, others: Sequence[str], bound: float
) -> None:
    """Reports against the best of the others, and how many records a second both sides make."""
    best = min(others, key=lambda name: median(seconds[name]))
    report(title, {of: seconds[of], best: seconds[best]}, of, best, bound)
    for name in (of, *others):
        rate = BATCHES * BATCH / median(seconds[name])
        print(f"  {name:<40} {rate:10,.0f} records/s")
    print()


def raw_rows(folder: Path) -> None:
    pixels = [image.transpose(2, 0, 1).tobytes() for image in photos(64)]
    records = [
        Datum(channels=3, height=SIDE, width=SIDE, data=data, label=i)
        for i, data in enumerate(pixels)
    ]
    path = data_net(folder, "raw", records)
    loaders = {
        f"DataLoader, {workers} workers": iter(
            DataLoader(LmdbDataset(str(folder / "raw"), CROP, MEAN), BATCH, num_workers=workers)
        )
        for workers in (1, 2, 0)  # processes first: they are forked
    }
    net = netspec.load(path, "TRAIN")
    own, alone = f"netspec, {default_workers()} workers", "netspec, one thread"
    as_bytes = "the same, finished on a GPU"
    with (
        batches(net, seed=1) as stream,
        batches(net, seed=1, workers=0) as single,
        batches(net, seed=1, as_bytes=True) as for_a_device,
    ):
        variants = {name: taking(loader) for name, loader in loaders.items()}
        variants |= {own: taking(stream), alone: taking(single), as_bytes: taking(for_a_device)}
        baseline = _baseline(path)
        if baseline is not None:
            variants[BASELINE] = _rounds_of(baseline)
        seconds = interleaved(variants, rounds=9, warm_up=2)
        if baseline is not None:
            baseline.communicate()
    title = "raw 256×256 records, crop, mirror, mean, 1,024 of them"
    _against(f"{title}, against the best DataLoader", seconds, own, list(loaders), 1 / 1.5)
    _against(f"{title}, against one thread", seconds, own, [alone], 1)
    _against(f"{title}, what the CPU does for a GPU", seconds, as_bytes, [own], 1)
    if baseline is not None:
        _against(f"{title}, against {BASELINE}", seconds, own, [BASELINE], 1 / 3)


BASELINE = "one thread of FEEDING_BASELINE"


def _baseline(net: Path) -> subprocess.Popen[str] | None:
    place = os.environ.get("FEEDING_BASELINE")
    if not place:
        return None
    return subprocess.Popen(
        [sys.executable, "-c", ONE_THREAD, str(net)],
        env={**os.environ, "PYTHONPATH": place},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _rounds_of(process: subprocess.Popen[str]) -> Callable[[], None]:
    def take() -> None:
        asked: IO[str] | None = process.stdin
        answers: IO[str] | None = process.stdout
        assert asked is not None
        assert answers is not None
        print(BATCHES, file=asked, flush=True)
        if not answers.readline():
            raise RuntimeError(f"the baseline has ended with status {process.wait()}")

    return take


def jpeg_rows(folder: Path) -> None:
    files = [jpeg(image) for image in photos(64)]
    records = [
        Datum(channels=3, height=SIDE, width=SIDE, data=data, label=i, encoded=True)
        for i, data in enumerate(files)
    ]
    net = netspec.load(data_net(folder, "jpeg", records), "TRAIN")

    def decode(data: bytes) -> None:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()

    for threads in sorted({1, default_workers()}):
        pool = ThreadPoolExecutor(threads)

        def decode_all(pool: ThreadPoolExecutor = pool) -> None:
            list(pool.map(decode, files * (BATCHES * BATCH // len(files))))

        own, decoder = f"netspec, {threads} threads", f"Pillow's decoder, {threads} threads"
        with batches(net, seed=1, workers=threads, prefetch=0) as stream:
            seconds = interleaved({own: taking(stream), decoder: decode_all}, rounds=9, warm_up=2)
        pool.shutdown()
        title = f"JPEG records of 256×256, 1,024 of them, threads: {threads}"
        _against(title, seconds, own, [decoder], 1.15)


def mnist_folder(folder: Path) -> Path:
    """A folder with the sample data of mnist_alexnet, and its solver."""
    arguments = ("dataset", "sample", "--only", "mnist_alexnet")
    _run(folder, "netspec", *arguments)
    model = ROOT / "models/mnist_alexnet"
    solver = folder / "solver.prototxt"
    solver.write_text(
        (model / "solver.prototxt")
        .read_text()
        .replace("models/mnist_alexnet/train_val.prototxt", str(model / "train_val.prototxt"))
        .replace("models/mnist_alexnet/mnist_alexnet", str(folder / "trained"))
    )
    return solver


def _run(folder: Path, module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True
    )


def run_rows(folder: Path, iterations: int = 200, rounds: int = 3) -> None:
    solver = str(mnist_folder(folder))
    count = str(iterations)
    variants: dict[str, Callable[[], None]] = {
        "netspec train": lambda: _run(
            folder, "netspec", "train", solver, "--max-iter", count, "--overwrite"
        )
    }
    by_hand = {
        f"DataLoader, {workers} workers": _by_hand(folder, count, str(workers), "2")
        for workers in (0, 1, 2)
    }
    seconds = interleaved(variants | by_hand, rounds, warm_up=0)
    best = min(by_hand, key=lambda name: median(seconds[name]))
    title = f"mnist_alexnet, `netspec train` as a process, {count} iterations, 2 tests"
    both = {name: seconds[name] for name in ("netspec train", best)}
    report(title, both, "netspec train", best, 0.75)


def start_rows(folder: Path) -> None:
    solver = mnist_folder(folder)
    text = solver.read_text().replace("test_interval: 200", "test_interval: 10000")
    solver.write_text(f"{text}\ntest_initialization: false\nsnapshot_after_train: false\n")
    variants = {
        "netspec train": lambda: _run(
            folder, "netspec", "train", str(solver), "--max-iter", "1", "--overwrite"
        ),
        "a script": _by_hand(folder, "1", "0", "0"),
    }
    seconds = interleaved(variants, rounds=9, warm_up=1)
    title = "mnist_alexnet, from the command to the end of iteration 0"
    report(title, seconds, "netspec train", "a script", 1.15)


def _by_hand(folder: Path, *arguments: str) -> Callable[[], None]:
    return lambda: _run(folder, "benchmarks.mnist_by_hand", *arguments)


ROWS: dict[str, Callable[[Path], None]] = {
    "raw": raw_rows,
    "jpeg": jpeg_rows,
    "run": run_rows,
    "start": start_rows,
}


def main(names: Sequence[str] = ()) -> None:
    for name in names or ROWS:
        with tempfile.TemporaryDirectory() as folder:
            ROWS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
