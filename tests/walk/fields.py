"""Every field of every layer type, and of the solver, with values at the ends of its range."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from netspec.layers import SPECS
from netspec.schema import caffe_pb2
from tests.conftest import REFERENCE
from tests.walk.bounded import Case

Path = tuple[str, ...]
F = FieldDescriptor
_FLOATS = ("0", "-1", "3.4028234e38", "-3.4028234e38", "1e-45", "nan", "inf", "-inf")
_VALUES = {
    F.TYPE_INT32: ("0", "-1", "100000000", "2147483647", "-2147483648", "2147483648", "nan"),
    F.TYPE_UINT32: ("0", "-1", "1", "100000000", "2147483647", "4294967295", "4294967296", "inf"),
    F.TYPE_INT64: ("0", "-1", "9223372036854775807", "-9223372036854775808", "nan"),
    F.TYPE_FLOAT: _FLOATS,
    F.TYPE_DOUBLE: _FLOATS,
    F.TYPE_BOOL: ("true", "false", "2"),
    F.TYPE_STRING: ('""', '"\\000"', '"\\377"'),
    F.TYPE_BYTES: ('""',),
    F.TYPE_MESSAGE: ("{ }",),
}
# Of what all layers have; the types' own messages are in Spec.param.
COMMON = (
    "loss_weight",
    "param",
    "blobs",
    "propagate_down",
    "phase",
    "include",
    "bottom",
    "top",
    "name",
)
_BESIDE = {"SoftmaxWithLoss": "loss_param", "InfogainLoss": "loss_param"}
# The examples in a size that runs in milliseconds.
_SMALLER = {
    "224": "8",
    "56": "6",
    "8000": "80",
    "1000": "10",
    "256": "8",
    "1024": "32",
    "300": "5",
    "100": "5",
    "227": "9",
    "28": "6",
    "50": "40",
}
_DATA = (
    'layer { name: "d" type: "%s" top: "data" top: "label" '
    "transform_param { crop_size: 12 mean_value: 9 } %s }"
)
_SOURCES = {
    "Data": _DATA % ("Data", 'data_param { source: "raw_lmdb" backend: LMDB batch_size: 4 }'),
    "ImageData": _DATA
    % (
        "ImageData",
        'image_data_param { source: "list_full.txt" batch_size: 3 new_height: 20 new_width: 24 }',
    ),
    "WindowData": _DATA
    % ("WindowData", 'window_data_param { source: "windows.txt" batch_size: 4 }'),
    "HDF5Data": (
        'layer { name: "d" type: "HDF5Data" top: "data" top: "label" '
        'hdf5_data_param { source: "rows.txt" batch_size: 4 } }'
    ),
}
# Types whose layers read files beside the net, see `write_files`.
NEED_FILES = (*_SOURCES, "Python")


def write_files(folder: pathlib.Path) -> None:
    """What the layers of NEED_FILES read."""
    import h5py
    import numpy as np

    for source in (REFERENCE / "data").iterdir():
        (folder / source.name).symlink_to(source)
    image = next((REFERENCE / "data" / "images").iterdir())
    (folder / "windows.txt").write_text(
        f"# 0\n{image}\n3\n20\n24\n2\n1 0.9 2 3 12 13\n0 0.1 5 5 9 9\n"
    )
    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"], file["label"] = np.ones((10_000, 3), np.float32), np.zeros(10_000, np.float32)
    (folder / "rows.txt").write_text("rows.h5\n")
    (folder / "my_layers.py").write_text(SPECS["Python"].example.code)


def base(kind: str) -> caffe_pb2.NetParameter:
    """A small net around a layer of the type, which is its last layer.

    Above it whatever makes it learn.
    """
    if kind in _SOURCES:
        return text_format.Parse(_SOURCES[kind], caffe_pb2.NetParameter())
    words = SPECS[kind].example.text(kind).split(" ")
    net = text_format.Parse(
        " ".join(_SMALLER.get(word, word) for word in words),
        caffe_pb2.NetParameter(force_backward=True),
    )
    net.layer[-1].ClearField("name")
    if (
        kind != "HDF5Output"
        and net.layer[-1].top
        and not SPECS[kind].is_loss
        and not SPECS[kind].is_source
    ):
        net.layer[-1].loss_weight.extend([1.0] * len(net.layer[-1].top))
    return net


def paths(descriptor: Descriptor, depth: int = 0) -> Iterator[Path]:
    """Every field below a message type, three messages deep."""
    for field in descriptor.fields:
        yield (field.name,)
        if field.message_type is not None and depth < 2:
            yield from ((field.name, *rest) for rest in paths(field.message_type, depth + 1))


def layer_paths(kind: str) -> Iterator[Path]:
    """The fields that a layer of the type reads."""
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    own = [
        name
        for name in (
            SPECS[kind].param,
            _BESIDE.get(kind),
            "transform_param" if SPECS[kind].is_source else None,
        )
        if name
    ]
    for name in (*own, *COMMON):
        yield (name,)
        if fields[name].message_type is not None:
            yield from ((name, *rest) for rest in paths(fields[name].message_type, 1))


def values(descriptor: Descriptor, path: Path) -> tuple[str, ...]:
    field = descriptor.fields_by_name[path[0]]
    if len(path) > 1:
        return values(field.message_type, path[1:])
    if field.enum_type is not None:
        return (*(value.name for value in field.enum_type.values), "99")
    return _VALUES[field.type]


def printed(message: Message, path: Path, value: str) -> str:
    """The message as text with its last field of a kind set to a value of any type."""
    lines = []
    set_fields = dict(message.ListFields())
    wanted = message.DESCRIPTOR.fields_by_name[path[0]] if path else None
    for field in message.DESCRIPTOR.fields:
        held: list[Any] = (
            list(set_fields[field])
            if field in set_fields and field.is_repeated
            else [set_fields[field]]
            if field in set_fields
            else []
        )
        last = held.pop() if field is wanted and held else None
        lines += [f"{field.name} {_text(field, each)}" for each in held]
        if field is wanted and len(path) == 1:
            lines.append(
                f"{field.name} {value}" if value.startswith("{") else f"{field.name}: {value}"
            )
        elif field is wanted:
            inner = last if last is not None else getattr(caffe_pb2, field.message_type.name)()
            lines.append(f"{field.name} {{ {printed(inner, path[1:], value)} }}")
    return " ".join(lines)


def _text(field: FieldDescriptor, value: Any) -> str:
    if field.message_type is not None:
        return f"{{ {printed(value, (), '')} }}"
    if field.type == F.TYPE_STRING:
        return f': "{value}"'
    if field.enum_type is not None:
        return f": {field.enum_type.values_by_number[value].name}"
    return f": {str(value).lower() if isinstance(value, bool) else repr(value)}"


def layer_cases(kind: str, files: pathlib.Path) -> Iterator[Case]:
    """A net for each value of each field of a layer type.

    Its fillers' fields for each filler that reads some.
    """
    net = base(kind)
    for path in layer_paths(kind):
        fillers = (
            [("gaussian",), ("uniform",), ("constant",)]
            if len(path) > 2 and "filler" in path[-2] and path[-1] in _FILLER_FIELDS
            else [()]
        )
        for filler in fillers:
            layer = _with_filler(net.layer[-1], path, *filler)
            for value in values(caffe_pb2.LayerParameter.DESCRIPTOR, path):
                above = printed(
                    caffe_pb2.NetParameter(force_backward=True, layer=net.layer[:-1]), (), ""
                )
                text = f"{above}\nlayer {{ {printed(layer, path, value)} }}"
                name = " ".join((kind, *filler, f"{'.'.join(path)}: {value}"))
                yield Case(
                    name,
                    "net.prototxt",
                    text.encode(),
                    "net",
                    str(files) if kind in NEED_FILES else "",
                )


_FILLER_FIELDS = ("value", "min", "max", "mean", "std", "sparse")


def _with_filler(
    layer: caffe_pb2.LayerParameter, path: Path, kind: str = ""
) -> caffe_pb2.LayerParameter:
    """The layer with the filler on the path of another kind."""
    changed = caffe_pb2.LayerParameter()
    changed.CopyFrom(layer)
    if kind:
        holder = getattr(changed, path[0])
        filler = getattr(holder, path[1])
        if holder.DESCRIPTOR.fields_by_name[path[1]].is_repeated:
            filler = filler[-1]
        filler.type = kind
    return changed


SOLVER = """
net_param {
  layer { name: "d" type: "DummyData" top: "x" top: "t"
    dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { type: "gaussian" }
      data_filler { } } }
  layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" \
inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "t" top: "l" } }
test_iter: 1 test_interval: 1 base_lr: 0.1 gamma: 0.5 power: 2 stepsize: 2 stepvalue: 1 max_iter: 4
weight_decay: 0.1 snapshot_prefix: "s" random_seed: 1 solver_mode: CPU
"""
_LONG = ("max_iter", "test_iter", "iter_size")  # a large number is a long run


def solver_cases(settings: str) -> Iterator[Case]:
    """A solver for each value of each of its fields, and two iterations of it."""
    solver = text_format.Parse(SOLVER + settings, caffe_pb2.SolverParameter())
    for field in solver.DESCRIPTOR.fields:
        inner = paths(field.message_type, 2) if field.name.endswith("_state") else ()
        for path in ((field.name,), *((field.name, *rest) for rest in inner)):
            for value in values(solver.DESCRIPTOR, path):
                is_long = field.name in _LONG and len(value) > 5
                text = printed(solver, path, value)
                yield Case(
                    f"solver {'.'.join(path)}: {value}",
                    "solver.prototxt",
                    text.encode(),
                    "solver check" if is_long else "training",
                )
