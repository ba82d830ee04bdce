"""Pictures as the input of an exported graph, and what of their preparation is part of it.

The graph takes RGB pictures of one size, 0 to 255; channel order, centre crop, mean and scale are
in it. Only decoding and resizing stay outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.exporters.onnx_graph import FLOAT, UINT8, OnnxGraph
from netspec.graph import Net, Shape, sizes_text
from netspec.readers.picture import PicturePlan, plan_pictures
from netspec.readers.preprocess import preprocess_of

_SEED = 1


@dataclass(frozen=True)
class ImageInput:
    """What takes the place of a net's input.

    Args:
        name: of the graph's input.
        blob: the net's input, which the graph computes.
        size: height and width of the pictures.
        is_uint8: whether they are bytes; else they are numbers of single precision.
    """

    name: str
    blob: str
    size: tuple[int, int]
    plan: PicturePlan
    is_uint8: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What the input is, and what neither the net's file nor the user said."""
        order = "RGB" if self.plan.channels == 3 else "gray"
        kind = "uint8" if self.is_uint8 else "float32"
        shown = f"'{self.name}' takes {order} pictures of {sizes_text(self.size)}, {kind} 0 to 255"
        return (shown, *(f"assumed: {each}" for each in self.plan.assumed))

    @property
    def corner(self) -> tuple[int, int]:
        """Where the crop begins."""
        height, width = (s - c for s, c in zip(self.size, self.plan.crop, strict=True))
        return height // 2, width // 2

    def mean(self) -> NDArray[np.float32] | None:
        """What is subtracted from the crop."""
        mean = self.plan.mean
        if mean is None or mean.shape[1:] in ((1, 1), self.plan.crop):
            return mean
        (top, left), (height, width) = self.corner, self.plan.crop
        return mean[:, top : top + height, left : left + width]

    def random(self, batch: int) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Pictures of random values. Shapes: (N, C, H, W)."""
        shape = (batch, self.plan.channels, *self.size)
        values = np.random.default_rng(_SEED).integers(0, 256, shape, np.uint8)
        return values if self.is_uint8 else values.astype(np.float32)

    def prepared(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
        """What the net reads, as `netspec classify` makes it. Shapes: (N, C, H, W)."""
        return np.concatenate([self.plan.windows(image[::-1]) for image in images])


def image_input(net: Net, name: str, is_uint8: bool) -> ImageInput:
    """The pictures of a net's input, by the record of its file.

    Raises: NetspecError where there is no record, it contradicts the input, or the size that
        pictures are resized to is not one size.
    """
    said = preprocess_of(net, name)
    if said is None:
        message = f"the net '{net.name or net.path}' does not say how pictures are prepared"
        hint = "a comment before the Input layer does: # netspec: preprocess { mean_value: 104 … }"
        raise NetspecError(message, net.blobs[name].span, hint)
    plan = plan_pictures(said, net.first_version(name).shape, name)
    resize = plan.resize
    if resize is not None and resize.resize_mode == resize.FIT_SMALL_SIZE:
        message = "with 'resize_mode' FIT_SMALL_SIZE each picture gets a size of its own"
        raise NetspecError(message, said.at("resize_param"))
    size = plan.size or (resize.height, resize.width)
    if any(s < c for s, c in zip(size, plan.crop, strict=True)):
        message = (
            f"pictures of {sizes_text(size)} are smaller than the crop of {sizes_text(plan.crop)}"
        )
        raise NetspecError(message, said.at("crop_size"))
    taken = {net.value_name(blob) for layer in net.layers for blob in layer.top_blobs}
    free = next(n for n in ("image", f"{name}_image", f"{name}/image") if n not in taken)
    return ImageInput(free, name, size, plan, is_uint8)


def emit_image(graph: OnnxGraph, image: ImageInput) -> None:
    """Writes the nodes that make the net's input of pictures."""
    blob = graph.net.first_version(image.blob)
    graph.layer, plan, x = blob.producer, image.plan, image.name
    if image.is_uint8:
        x = graph.node("Cast", [x], to=FLOAT)
    if plan.channels == 3 and not plan.is_rgb:
        x = graph.pick(x, (2, 1, 0), 1)
    if image.size != plan.crop:
        ends = [first + size for first, size in zip(image.corner, plan.crop, strict=True)]
        bounds = [graph.sizes(*values) for values in (image.corner, ends, (2, 3))]
        x = graph.node("Slice", [x, *bounds])
    if plan.raw_scale != 255:
        x = graph.node("Mul", [x, graph.constant(plan.raw_scale / 255, "raw_scale")])
    mean = image.mean()
    if mean is not None:
        x = graph.node("Sub", [x, graph.constant(mean, "mean")])
    if plan.scale != 1:
        x = graph.node("Mul", [x, graph.constant(plan.scale, "scale")])
    graph.node("Identity", [x], graph.net.value_name(blob))


def image_type(image: ImageInput) -> tuple[int, Shape]:
    """The type of the graph's input, and its sizes behind the batch."""
    return (UINT8 if image.is_uint8 else FLOAT), (image.plan.channels, *image.size)
