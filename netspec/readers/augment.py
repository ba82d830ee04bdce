"""Random changes of the images in TRAIN: netspec's own part of a transform_param.

The order is: distort, grey, rotation, resized crop; after crop and mirror lighting and noise, the
mean, erasing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Report, Span
from netspec.files.paths import resolve_path
from netspec.graph import shape_text
from netspec.layers.image_augmentation import AUGMENTS, COLOURS, eigen_fault
from netspec.readers.color import bgr_to_grey
from netspec.readers.distort import apply_distort, needs_colour
from netspec.readers.images import Pixels
from netspec.readers.interpolation import resize_by
from netspec.readers.rotation import rotated
from netspec.schema.caffe_pb2 import TransformationParameter
from netspec.schema.forks import stated
from netspec.syntax.bind import Spans
from netspec.syntax.read import bind_source, read_source

Floats = NDArray[np.float32]
_TRIES = 10  # of a rectangle that may not fit


class Rectangle(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


class Augmenter:
    """Changes one image after another; each gets its own generator.

    Args: names: which fields of the transform_param to heed.
    Raises: NetspecError where the file of the principal components can't be used.
    """

    def __init__(
        self,
        param: TransformationParameter,
        net_path: str,
        spans: Spans,
        label: str,
        names: frozenset[str] = AUGMENTS,
    ) -> None:
        self._spans, self._label = spans, label
        self._stated = {name: stated(param, name) for name in sorted(names)}
        self._crop = int(param.crop_size)
        self._noise = self._stated.get("gaussian_noise_std") or 0
        lighting = self._stated.get("lighting_param")
        self._std = lighting.std if lighting is not None else 0
        self._components: Floats | None = None
        if lighting is not None:
            self._components = principal_components(
                lighting, net_path, spans.at("transform_param", "lighting_param", "pca_file")
            )

    def pixels(self, image: NDArray[Any], rng: np.random.Generator, name: str) -> Pixels:
        """The image before crop and mirror.

        Shapes: (C, H, W), to (C, crop_size, crop_size) where there is a resized_crop_param.
        Raises: NetspecError where the image does not suit what is to be done.
        """
        self._check(image, name)
        distort, rotation = self._stated.get("distort_param"), self._stated.get("rotation_param")
        crop = self._stated.get("resized_crop_param")
        if distort is not None:
            image = apply_distort(image, distort, rng)
        if self._stated.get("gray_prob") is not None and rng.random() < self._stated["gray_prob"]:
            image = np.stack([bgr_to_grey(image)] * 3)
        if rotation is not None:
            angle = rng.uniform(-rotation.max_degrees, rotation.max_degrees)
            image = rotated(image, angle, _colour(rotation.fill_value))
        if crop is not None:
            _, height, width = image.shape
            top, left, height, width = crop_rectangle(crop, height, width, rng)
            window = np.ascontiguousarray(image[:, top : top + height, left : left + width])
            image = resize_by(window, self._crop, self._crop, "LINEAR")
        return image

    def levels(self, image: Floats, rng: np.random.Generator) -> None:
        """Adds what is not rounded to whole levels: the colour of lighting, and noise.

        Shapes: (C, h, w).
        """
        if self._components is not None:
            shift = self._components @ rng.normal(0, self._std, 3)
            image += (255 * shift).astype(np.float32)[:, None, None]
        if self._noise:
            image += rng.normal(0, self._noise, image.shape).astype(np.float32)

    def erase(self, image: Floats, mean: Floats | None, rng: np.random.Generator) -> None:
        """Erases a rectangle of an image whose mean is subtracted already.

        Shapes: image (C, h, w); mean the same, (C, 1, 1), or None where there is none.
        """
        erasing = self._stated.get("erasing_param")
        if erasing is None or not rng.random() < erasing.prob:
            return
        shares, (_, height, width) = (erasing.min_area, erasing.max_area), image.shape
        place = drawn_rectangle(shares, _ratios(erasing, upright=True), height, width, rng)
        if place is None:
            return
        top, left, height, width = place
        window = np.s_[:, top : top + height, left : left + width]
        image[window] = _colour(erasing.fill_value)[:, None, None] if erasing.fill_value else 0
        if erasing.fill_value and mean is not None:
            image[window] -= np.broadcast_to(mean, image.shape)[window]

    def _check(self, image: NDArray[Any], name: str) -> None:
        there = next(field for field, value in self._stated.items() if value is not None)
        if image.dtype != np.uint8:
            raise NetspecError(
                f"{self._label}: {name} holds float_data, but '{there}' changes 8-bit values",
                self._spans.at("transform_param", there),
            )
        distort = self._stated.get("distort_param")
        for field, needs in (
            ("gray_prob", self._stated.get("gray_prob") is not None),
            ("lighting_param", self._components is not None),
            ("distort_param", distort is not None and needs_colour(distort)),
        ):
            if needs and len(image) != 3:
                raise NetspecError(
                    f"{self._label}: {name} has {len(image)} channels, but '{field}' needs 3",
                    self._spans.at("transform_param", field),
                    "force_color: true makes three of a grey image",
                )
        for field in ("rotation_param", "erasing_param"):
            values = len(getattr(self._stated.get(field), "fill_value", ()))
            if values not in (0, 1, len(image)):
                raise NetspecError(
                    f"{self._label}: {name} is {shape_text(image.shape)}, but '{field}' has "
                    f"{values} of 'fill_value'",
                    self._spans.at("transform_param", field, "fill_value"),
                    "give one for all channels or one a channel",
                )


def augmenter(
    param: TransformationParameter,
    phase: str,
    net_path: str,
    spans: Spans,
    label: str,
    names: frozenset[str] = AUGMENTS,
) -> Augmenter | None:
    """The augmenter of a transform_param, or None where there is nothing to do.

    Raises: NetspecError.
    """
    if phase != "TRAIN" or all(stated(param, name) is None for name in names):
        return None
    return Augmenter(param, net_path, spans, label, names)


def annotated_augmenter(
    param: TransformationParameter, phase: str, net_path: str, spans: Spans, label: str
) -> Augmenter | None:
    """The same for images with boxes, which stay where they are; without distort_param."""
    return augmenter(param, phase, net_path, spans, label, COLOURS)


def crop_rectangle(param: Any, height: int, width: int, rng: np.random.Generator) -> Rectangle:
    """The place of a resized crop; where ten draws do not fit, the largest one in the middle.

    Source: torchvision's RandomResizedCrop.
    """
    ratios = _ratios(param)
    found = drawn_rectangle((param.min_scale, param.max_scale), ratios, height, width, rng)
    if found is not None:
        return found
    shape = np.clip(width / height, *ratios)
    wide = min(width, max(1, round(float(height * shape))))
    high = min(height, max(1, round(float(width / shape))))
    return Rectangle((height - high) // 2, (width - wide) // 2, high, wide)


def drawn_rectangle(
    shares: tuple[float, float],
    ratios: tuple[float, float],
    height: int,
    width: int,
    rng: np.random.Generator,
) -> Rectangle | None:
    """A rectangle of a random share of the area and a random width over height.

    Returns None where none of ten lies within the image.
    """
    for _ in range(_TRIES):
        area = rng.uniform(*shares) * height * width
        ratio = np.exp(rng.uniform(*np.log(ratios)))
        high, wide = round(float(np.sqrt(area / ratio))), round(float(np.sqrt(area * ratio)))
        if 0 < high <= height and 0 < wide <= width:
            top, left = rng.integers(0, height - high + 1), rng.integers(0, width - wide + 1)
            return Rectangle(int(top), int(left), high, wide)
    return None


def principal_components(lighting: Any, net_path: str, span: Span | None) -> Floats:
    """Each eigenvector times its eigenvalue, a column each. Shapes: (3, 3), rows in BGR order.

    Raises: NetspecError where the file does not hold them.
    """
    if lighting.pca_file:
        path = resolve_path(lighting.pca_file, net_path)
        found, report = type(lighting)(), Report()
        try:
            bind_source(read_source(path), found, report)
            report.raise_errors()
        except NetspecError as error:
            raise _no_components(path, str(error.diagnostics[0].message), span) from None
        fault = eigen_fault(found)
        if fault:
            raise _no_components(path, fault, span)
        lighting = found
    vectors = np.array([(v.blue, v.green, v.red) for v in lighting.eigenvector], np.float64)
    components: Floats = (vectors.T * np.array(lighting.eigenvalue)).astype(np.float32)
    return components


def _no_components(path: str, fault: str, span: Span | None) -> NetspecError:
    hint = f"`netspec dataset mean DB OUT --pca {path}` makes it"
    return NetspecError(f"the file of principal components '{path}': {fault}", span, hint)


def _ratios(param: Any, upright: bool = False) -> tuple[float, float]:
    """The range of width over height, of parameters that may say height over width."""
    lower, upper = param.min_aspect_ratio, param.max_aspect_ratio
    return (1 / upper, 1 / lower) if upright else (lower, upper)


def _colour(values: Any) -> Floats:
    return np.array(list(values) or [0], np.float32)
