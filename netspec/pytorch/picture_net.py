"""A trained deploy net that pictures are run through, in batches."""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Report, counted
from netspec.graph import Net, shape_text
from netspec.pipeline import load
from netspec.pytorch.compile import compile
from netspec.pytorch.device import default_device, faults_reported
from netspec.pytorch.lower import net_of
from netspec.pytorch.optimize import optimized
from netspec.readers.images import Pixels, decode, read_image_file
from netspec.readers.picture import PicturePlan, Size, plan_pictures, with_given
from netspec.readers.preprocess import Preprocess, preprocess_of

Picture = str | Path | bytes | Pixels
Outputs = dict[str, NDArray[np.float32]]
# an array for each item of a batch, from the net's outputs and the number of items
Split = Callable[[Outputs, int], list[Any]]
_DECODERS = 4  # threads


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a picture: its height and width, and its items; or what is wrong with it."""

    name: str
    size: Size
    items: list[Any]
    fault: NetspecError | None = None


class PictureNet:
    """A net with one input that takes pictures, with its weights, on a device.

    A batch of another size than the net declares is filled up where the net can't take it.

    Args:
        path: the deploy net.
        weights: files of weights.
        outputs: blobs to cut the net at; None for its own outputs.
        said: the preprocessing, in place of the file's record, or fields of it by name.
        oversample: ten crops of each picture.
        channel_mean: a mean image counts as its mean in each channel.
        batch: items of a forward pass; None is the file's.
        device: None takes a GPU where there is one.
        exact: compute layer by layer, without what changes rounding.
        report: takes the warnings of the net.
        options: those of `netspec.load`.

    Raises: NetspecError.
    """

    def __init__(
        self,
        path: str | Path,
        weights: str | Path | Iterable[str | Path],
        outputs: Iterable[str] | None = None,
        said: Preprocess | dict[str, Any] | None = None,
        oversample: bool = False,
        channel_mean: bool = False,
        batch: int | None = None,
        device: str | None = None,
        exact: bool = False,
        report: Report | None = None,
        **options: Any,
    ) -> None:
        net = load(path, phase="TEST", report=report or Report(), **options)
        self.input = picture_input(net)
        if not isinstance(said, Preprocess):
            said = with_given(preprocess_of(net, self.input), **(said or {}))
        shape = net.blobs[self.input].shape
        self.plan: PicturePlan = plan_pictures(said, shape, self.input, oversample, channel_mean)
        assert shape is not None  # plan_pictures has looked at it
        self.batch, self.takes_any_batch = _batch(path, net, self.input, batch or shape[0], options)
        paths = [weights] if isinstance(weights, (str, Path)) else list(weights)
        self.device = device or default_device()
        with faults_reported(self.device, None, "its params alone are too many"):
            module = compile(path, "TEST", outputs, paths, **options)
            require_trained(module.load_report, paths)
            self.net = net_of(module)
            faster = module if exact else optimized(module, self.device, freezes=True)
            self.module = faster.to(self.device).eval()

    def windows(self, picture: Picture, name: str) -> tuple[Size, Any]:
        """The height and width of a picture, and its items.

        Shapes: items (1 or 10, C, H, W).
        Raises: NetspecError where it can't be read.
        """
        if isinstance(picture, (str, Path)):
            picture = read_image_file(str(picture))
        channels = self.plan.channels
        if isinstance(picture, bytes):
            pixels = decode(picture, channels == 3, name)
        else:
            pixels = _checked(picture, channels, name)
        size = (pixels.shape[1], pixels.shape[2])
        return size, self.plan.windows(self.plan.resized(pixels, name))

    def run(self, items: NDArray[np.float32]) -> Outputs:
        """The outputs of a forward pass. Shapes: items (n, C, H, W), n at most the batch.

        Raises: NetspecError where the device's memory does not suffice.
        """
        count = len(items)
        if count < self.batch and not self.takes_any_batch:
            # filled up with a real picture: made-up values may cause faults of their own
            items = np.concatenate([items, np.repeat(items[-1:], self.batch - count, axis=0)])
        with (
            faults_reported(self.device, len(items), "a smaller batch needs less"),
            torch.no_grad(),
        ):
            found = self.module(torch.from_numpy(items).to(self.device))
            return {name: value.detach().float().cpu().numpy() for name, value in found.items()}

    def run_items(self, items: NDArray[np.float32], split: Split) -> list[Any]:
        """What the net says of any number of items, in forward passes of the batch's size."""
        found: list[Any] = []
        for first in range(0, len(items), self.batch):
            part = items[first : first + self.batch]
            found += split(self.run(part), len(part))
        return found

    def see(self, pictures: Iterable[Picture], split: Split) -> Iterator[Seen]:
        """Runs pictures through the net, in their order; one that can't be read has its fault.

        Raises: NetspecError for a fault that is not a picture's.
        """
        # as many pictures as fill whole batches
        each = self.plan.windows_each
        group = max(1, ceil(self.batch / each))
        threads = min(_DECODERS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[list[Future[tuple[str, Size, Any, NetspecError | None]]]] = deque()
            source = enumerate(pictures)
            while True:
                # the next group is read while this one is computed
                while len(waiting) < 2 and (taken := list(islice(source, group))):
                    waiting.append([pool.submit(self._prepared, *pair) for pair in taken])
                if not waiting:
                    return
                read = [future.result() for future in waiting.popleft()]
                yield from self._seen(read, split)

    def _prepared(
        self, number: int, picture: Picture
    ) -> tuple[str, Size, Any, NetspecError | None]:
        is_file = isinstance(picture, (str, Path))
        name = str(picture) if is_file else f"picture {number}"
        try:
            title = f"the image '{name}'" if is_file else name
            size, items = self.windows(picture, title)
        except NetspecError as error:
            return name, (0, 0), None, error
        return name, size, items, None

    def _seen(self, read: list[tuple[str, Size, Any, Any]], split: Split) -> Iterator[Seen]:
        windows = [items for _, _, items, fault in read if fault is None]
        found = iter(self.run_items(np.concatenate(windows), split) if windows else ())
        for name, size, items, fault in read:
            yield Seen(name, size, [] if fault else list(islice(found, len(items))), fault)


def picture_input(net: Net) -> str:
    """The one input of a deploy net. Raises: NetspecError where there are others, or none."""
    if net.sources:
        producer = net.blobs[net.sources[0]].producer
        raise NetspecError(
            f"{producer.label} reads its own data; a net that is given pictures has an Input layer",
            producer.span,
            "`netspec deploy` makes the deploy net",
        )
    if len(net.inputs) != 1:
        names = ", ".join(f"'{name}'" for name in net.inputs) or "none"
        message = f"pictures go into one input, but the net '{net.name}' has {names}"
        raise NetspecError(message)
    return net.inputs[0]


def _batch(
    path: str | Path, net: Net, name: str, wanted: int, options: dict[str, Any]
) -> tuple[int, bool]:
    """How many items a forward pass takes, and whether it takes any number.

    Raises: NetspecError where the net holds on to its own number.
    """
    own, *rest = net.blobs[name].shape or (1,)
    other = 1 if own > 1 else 2
    shapes = {**(options.pop("inputs", None) or {}), name: (other, *rest)}
    try:
        changed = load(path, phase="TEST", inputs=shapes, report=Report(), **options)
        is_free = _scales(net, changed, other / own)
    except NetspecError:
        is_free = False
    if wanted != own and not is_free:
        message = f"the net '{net.name}' takes batches of {own} alone, got {wanted}"
        raise NetspecError(message, net.blobs[name].span)
    return wanted, is_free


def _scales(net: Net, changed: Net, factor: float) -> bool:
    """Whether a net with another batch has the same params, and outputs of as many more values.

    How many rows a list of detections has depends on the picture.
    """
    params = ([[p.shape for p in layer.params] for layer in each.layers] for each in (net, changed))
    if not operator.eq(*params):
        return False
    return all(
        changed.blob(name).count == factor * net.blob(name).count
        for name in net.outputs
        if net.blob(name).producer.type != "DetectionOutput"
    )


def require_trained(report: Any, paths: list[str | Path]) -> None:
    """Raises NetspecError where weights lack a layer, whose answer would be the fillers'."""
    if report is not None and report.missing:
        names = ", ".join(f"'{name}'" for name in report.missing)
        files = ", ".join(f"'{path}'" for path in paths)
        message = f"{files}: {counted(len(report.missing), 'layer')} of the net missing: {names}"
        raise NetspecError(message, None, "weights are matched by the layers' names")
    if report is None:
        raise NetspecError("no weights are given")


def _checked(pixels: Any, channels: int, name: str) -> Pixels:
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 3
        or len(pixels) != channels
        or not pixels.size
    ):
        got = (
            f"{pixels.dtype} of {shape_text(pixels.shape)}"
            if isinstance(pixels, np.ndarray)
            else type(pixels).__name__
        )
        raise NetspecError(
            f"{name}: expected a path, a file's bytes or uint8 pixels of "
            f"{channels}×H×W (B, G, R), got {got}"
        )
    return pixels
