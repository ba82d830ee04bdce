"""What netspec's own part of a transform_param may say: random changes of the images in TRAIN.

It needs no numpy; netspec/readers/augment.py carries it out.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from netspec.graph import Layer
from netspec.layers.layer_context import LayerContext
from netspec.schema.forks import stated

# what leaves the boxes of an image where they are
COLOURS = frozenset({"gaussian_noise_std", "gray_prob", "lighting_param", "erasing_param"})
# what moves pixels
PLACES = frozenset({"resized_crop_param", "rotation_param"})
# distort_param is SSD's; netspec carries it out in Data and ImageData too, in TRAIN
AUGMENTS = COLOURS | PLACES | {"distort_param"}
_OF_COLOUR = ("gray_prob", "lighting_param")
_PATH = "transform_param"


def fills_the_crop(layer: Layer) -> bool:
    """Whether images of any size give a crop, resized to crop_size."""
    transform = layer.message.transform_param
    return layer.phase == "TRAIN" and stated(transform, "resized_crop_param") is not None


def check_augmentation(context: LayerContext) -> None:
    """Reports what is out of range or does not go together."""
    transform = context.message.transform_param
    if "distort_param" in context.spec.takes and "expand_param" not in context.spec.takes:
        check_distort(context)  # SSD's layers have it checked with the rest of SSD's
    _check_numbers(context, transform)
    lighting = stated(transform, "lighting_param")
    if lighting is not None:
        _check_lighting(context, lighting)
    for name, lower, upper, most in (
        ("resized_crop_param", "min_scale", "max_scale", 1.0),
        ("resized_crop_param", "min_aspect_ratio", "max_aspect_ratio", inf),
        ("erasing_param", "min_area", "max_area", 1.0),
        ("erasing_param", "min_aspect_ratio", "max_aspect_ratio", inf),
    ):
        param = stated(transform, name)
        if param is not None:
            _check_range(context, param, (name, lower, upper), most)
    _check_together(context, transform)


def _check_numbers(context: LayerContext, transform: Any) -> None:
    """The single numbers: probabilities, a standard deviation, an angle, colours."""
    for path, most in (
        (("gray_prob",), 1.0),
        (("erasing_param", "prob"), 1.0),
        (("rotation_param", "max_degrees"), 180.0),
        (("gaussian_noise_std",), inf),
        (("lighting_param", "std"), inf),
    ):
        value = stated(transform, path[0])
        value = getattr(value, path[1]) if value is not None and len(path) > 1 else value
        if value is not None and not (0 <= value <= most and isfinite(value)):
            limit = "0 or more" if most == inf else f"0 to {most:g}"
            context.error(
                f"'{path[-1]}' is out of range, expected {limit}, got {value:g}", _PATH, *path
            )
    for name in ("rotation_param", "erasing_param"):
        colour = getattr(stated(transform, name), "fill_value", ())
        if not all(map(isfinite, colour)):
            context.error("'fill_value' must be finite", _PATH, name, "fill_value")


def _check_range(
    context: LayerContext, param: Any, names: tuple[str, str, str], most: float
) -> None:
    name, *ends = names
    lower, upper = (getattr(param, end) for end in ends)
    if not (0 < lower <= upper <= most and isfinite(upper)):
        limit = "" if most == inf else f" <= {most:g}"
        place = next(
            (
                end
                for end in reversed(ends)
                if param.HasField(end) and (end == ends[0] or lower > 0)
            ),
            ends[0],
        )
        context.error(
            f"'{ends[0]}' {lower:g} and '{ends[1]}' {upper:g} must satisfy 0 < min <= max{limit}",
            *(_PATH, name, place),
        )


def _check_lighting(context: LayerContext, lighting: Any) -> None:
    path = (_PATH, "lighting_param")
    values, vectors = lighting.eigenvalue, lighting.eigenvector
    hint = '`netspec dataset mean DB OUT --pca PCA` computes them; pca_file: "PCA" names the file'
    if lighting.pca_file and (values or vectors):
        context.error(
            "give 'pca_file' or 'eigenvalue' and 'eigenvector', not both", *path, "pca_file"
        )
    elif not lighting.pca_file:
        fault = eigen_fault(lighting)
        if fault:
            context.error(f"'lighting_param': {fault}", *path, hint=hint)


def eigen_fault(lighting: Any) -> str | None:
    """What is wrong with the eigenvalues and eigenvectors of a lighting_param or a file."""
    values, vectors = lighting.eigenvalue, lighting.eigenvector
    if len(values) != 3 or len(vectors) != 3:
        return (
            f"expected 3 of 'eigenvalue' and 3 of 'eigenvector', got {len(values)} and "
            f"{len(vectors)}"
        )
    for value in values:
        if not (isfinite(value) and value >= 0):
            return f"'eigenvalue' is out of range, expected 0 or more, got {value:g}"
    if not all(isfinite(part) for v in vectors for part in (v.blue, v.green, v.red)):
        return "'eigenvector' must be finite"
    return None


def _check_together(context: LayerContext, transform: Any) -> None:
    """What excludes or needs something else."""
    if stated(transform, "resized_crop_param") is not None:
        if not transform.crop_size:
            context.error(
                "'resized_crop_param' needs 'crop_size', the size that the crop is resized to",
                *(_PATH, "resized_crop_param"),
                hint="crop_size: 224",
            )
        if transform.HasField("mean_file"):
            context.error(
                "'resized_crop_param' changes sizes, so that the mean image of 'mean_file' has no "
                "place in the crop",
                *(_PATH, "mean_file"),
                hint="mean_value has: `netspec dataset mean` prints the values of a data set",
            )
    if transform.force_gray or not getattr(context.param, "is_color", True):
        for name in _OF_COLOUR:
            if stated(transform, name) is not None:
                why = "force_gray: true" if transform.force_gray else "is_color: false"
                context.error(f"'{name}' needs 3 channels, but {why} makes one", _PATH, name)


def check_distort(context: LayerContext) -> None:
    """Reports what is wrong in SSD's distort_param."""
    distort = stated(context.message.transform_param, "distort_param")
    if distort is None:
        return
    for name in ("contrast", "saturation"):
        lower, upper = getattr(distort, f"{name}_lower"), getattr(distort, f"{name}_upper")
        if getattr(distort, f"{name}_prob") > 0 and not 0 <= lower <= upper:
            context.error(
                f"'{name}_lower' {lower:g} and '{name}_upper' {upper:g} must be in order and not "
                "negative",
                *("transform_param", "distort_param", f"{name}_lower"),
            )
    for name in ("brightness_delta", "hue_delta"):
        if getattr(distort, name) < 0:
            context.error(
                f"'{name}' can't be negative, got {getattr(distort, name):g}",
                *("transform_param", "distort_param", name),
            )
