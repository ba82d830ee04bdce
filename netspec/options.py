"""How a net is read: its state, the shapes that are given, and what is allowed in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import index

from netspec.diagnostics import NetspecError
from netspec.graph import Shape
from netspec.hint import did_you_mean
from netspec.plugins import plugins
from netspec.schema import caffe_pb2

# The forks whose rules may be asked for by name, each with the repositories that it stands for.
DIALECTS = {
    "ssd": "SSD (weiliu89/caffe) and what was made from it",
    "rcnn": "Fast and Faster R-CNN (rbgirshick/caffe-fast-rcnn)",
    "rfcn": "R-FCN (daijifeng001/caffe-rfcn)",
    "segnet": "SegNet (alexgkendall/caffe-segnet) and DeconvNet (HyeonwooNoh/caffe)",
    "pspnet": "PSPNet (hszhao/PSPNet) and yjxiong/caffe",
    "yolo": "MobileNet-YOLO (eric612/MobileNet-YOLO)",
    "nvidia": "NVIDIA/caffe",
    "intel": "intel/caffe",
    "ocr": "caffe_ocr (senlinuc/caffe_ocr)",
    "openpose": "openpose (CMU-Perceptual-Computing-Lab/caffe_rtpose)",
    "sphereface": "SphereFace (wy1iu/sphereface) and ydwen/caffe-face",
    "happynear": "happynear/caffe-windows",
}


@dataclass(frozen=True, slots=True)
class NetOptions:
    """What a caller asks for when a net is read.

    Args:
        phase, level, stages: what the layers' include and exclude rules are matched against.
        inputs: shapes by top that stand in for those of Input and data layers.
        require_shapes: False lets a data layer of unknown size pass; shapes below it are then None.
        allow_python_layers: run the Python code that layers of type Python name; it can do
            anything.
        allow_unknown: fields, words and layer types that netspec does not know are warnings.
        dialect: the fork whose rule a layer type follows where several have it; "" asks the file.
        strict: warnings are errors.
        blob_counts: how many blobs a file of weights has of each layer, which distinguish rules.
    """

    phase: str = "TEST"
    level: int = 0
    stages: tuple[str, ...] = ()
    inputs: Mapping[str, Shape] = field(default_factory=dict)
    require_shapes: bool = True
    allow_python_layers: bool = False
    allow_unknown: bool = False
    dialect: str = ""
    strict: bool = False
    blob_counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def state(self) -> caffe_pb2.NetState:
        """The state as the message that rules are matched against."""
        return caffe_pb2.NetState(phase=self.phase, level=self.level, stage=self.stages)


def net_options(
    phase: str = "TEST",
    level: int = 0,
    stages: str | Iterable[str] = (),
    inputs: Mapping[str, Shape] | None = None,
    require_shapes: bool = True,
    allow_python_layers: bool = False,
    allow_unknown: bool = False,
    dialect: str | None = None,
    strict: bool = False,
    blob_counts: Mapping[str, int] | None = None,
) -> NetOptions:
    """The options of what a caller gives, checked. Raises: NetspecError."""
    return NetOptions(
        phase_of(phase),
        level,
        (stages,) if isinstance(stages, str) else tuple(stages),
        _checked_shapes(inputs),
        require_shapes,
        allow_python_layers,
        allow_unknown and not strict,
        checked_dialect(dialect or ""),
        strict,
        blob_counts or {},
    )


def phase_of(phase: str) -> str:
    """TRAIN or TEST, of a word in any case. Raises: NetspecError."""
    name = str(phase).upper()
    if name not in ("TRAIN", "TEST"):
        raise NetspecError(f"a net's phase is TRAIN or TEST, got '{phase}'")
    return name


def known_dialects() -> dict[str, str]:
    """The dialects by name, those of plugins too, each with what it stands for."""
    own: dict[str, str] = {}
    for plugin in plugins():
        own |= getattr(plugin.module, "DIALECTS", {})
    return own | DIALECTS


def checked_dialect(name: str) -> str:
    """The dialect of that name. Raises: NetspecError where there is none."""
    if name and name not in DIALECTS and name not in known_dialects():
        hint = did_you_mean(name, known_dialects()) or f"the dialects are {', '.join(DIALECTS)}"
        raise NetspecError(f"there is no dialect '{name}'", None, hint)
    return name


def _checked_shapes(inputs: Mapping[str, Shape] | None) -> dict[str, Shape]:
    """The shapes that a caller gives, as tuples of ints. Raises: NetspecError."""
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping):
        raise NetspecError(
            f"'inputs' takes shapes by blob, got {type(inputs).__name__}",
            None,
            'such as inputs={"data": (10, 3, 227, 227)}',
        )
    return {name: _checked_shape(name, shape) for name, shape in inputs.items()}


def _checked_shape(name: str, shape: Iterable[int]) -> Shape:
    try:
        return tuple(index(dim) for dim in shape)
    except TypeError:
        simple = isinstance(shape, (tuple, list, int, str, type(None)))
        shown = f"{shape!r}" if simple else type(shape).__name__
        raise NetspecError(
            f"the shape given for '{name}' takes integers, such as (10, 3, 227, 227), got {shown}"
        ) from None
