"""Which layers of a net compute in half precision.

Convolutions and dense layers do, and what only passes on or bends their values; what takes powers,
exponentials, sums of many values, indices or coordinates stays in single precision. That is the
rule of PyTorch's autocast. What a net reads comes in single precision: an index above 2048 has no
half.
"""

from __future__ import annotations

from collections.abc import Callable

from netspec.graph import Blob, Layer, Net

# layers that turn to half precision
WEIGHTS = frozenset(
    {
        "Convolution",
        "ConvolutionDepthwise",
        "Deconvolution",
        "DepthwiseConvolution",
        "InnerProduct",
    }
)
# layers that go on in it where all of their bottoms are in it
FOLLOWING = frozenset(
    {
        "AbsVal",
        "Axpy",
        "BN (segnet)",
        "BatchNorm",
        "Bias",
        "Clip",
        "Concat",
        "Crop",
        "Dropout",
        "Eltwise",
        "Flatten",
        "HardSigmoid",
        "HardSwish",
        "PReLU",
        "Permute",
        "Pooling",
        "ReLU",
        "ReLU6",
        "Reshape",
        "Scale",
        "ShuffleChannel",
        "Sigmoid",
        "Slice",
        "Split",
        "TanH",
        "Tile",
        "Upsample (yolo)",
    }
)


def goes_on_in_half(layer: Layer) -> bool:
    """Whether a layer computes in half precision where all of its bottoms are in it."""
    # a Pooling's second top holds places in the plane
    return layer.spec_name in FOLLOWING and not _has_places(layer)


def half_layers(net: Net, follows: Callable[[Layer], bool] = goes_on_in_half) -> set[Layer]:
    """The layers that compute in half precision, their params with them.

    BatchNorm's statistics stay as they are: their sums leave the range of half precision.

    Args:
        follows: which layers go on in it where all of their bottoms are in it.
    """
    found: set[Layer] = set()
    blobs: set[Blob] = set()
    for layer in net.layers:
        read = [
            blob.overwritten_by(writes) or blob
            for blob, writes in zip(layer.bottom_blobs, layer.bottom_writes, strict=True)
        ]
        if layer.spec_name in WEIGHTS or (read and blobs.issuperset(read) and follows(layer)):
            found.add(layer)
            blobs.update(layer.top_blobs)
    return found


def _has_places(layer: Layer) -> bool:
    return layer.spec_name == "Pooling" and len(layer.top_blobs) > 1
