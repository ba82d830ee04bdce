"""What an ONNX model computes: the values of its graph by name, by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.extras import missing_package
from netspec.read_file import GIB, read_file, unreadable
from netspec.weights.read_bytes import wrong_kind

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
_EXTERNAL = "session.model_external_initializers_file_folder_path"


def onnx_values(
    path: str | Path, inputs: Mapping[str, np.ndarray], names: Collection[str]
) -> dict[str, np.ndarray]:
    """The values of those names that a model's graph has, by a copy that gives them as outputs.

    With one input on both sides, their names may differ. A value of an input's name that the model
    computes, as one does that prepares pictures, is taken from the inputs.

    Raises: NetspecError where the file is no model, has inputs that are not given, or can't be run
        on them.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise missing_package(error.name or "onnx", f"'{path}'") from None
    model = _model(path)
    made = [name for node in model.graph.node for name in node.output]
    wanted = [name for name in dict.fromkeys(made) if name in names]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    if not wanted:
        return {}
    _begin_at(model.graph, set(inputs).intersection(made), wanted)
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(_EXTERNAL, os.path.dirname(os.path.abspath(path)))
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        feed = _feed(path, session, inputs)
        return dict(zip(wanted, session.run(wanted, feed), strict=True))
    except NetspecError:
        raise
    except Exception as error:  # onnxruntime's own, and protobuf's for one too large
        reason = str(error).partition("\n")[0]
        raise NetspecError(f"onnxruntime can't run '{path}': {reason}") from None


def _model(path: str | Path) -> Any:
    """The model without the values that lie in other files. Raises: NetspecError."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        raw = read_file(path, 2 * GIB, "an ONNX model")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except DecodeError:
        raise NetspecError(
            f"'{path}' is not an ONNX model, or is damaged", hint=wrong_kind(path)
        ) from None
    return model


def _begin_at(graph: Any, names: set[str], wanted: Collection[str]) -> None:
    """Makes inputs of values that the graph computes, and leaves out what leads to them alone."""
    if not names:
        return
    from onnx import TensorProto, helper

    needed, kept = set(wanted), []
    for node in reversed(graph.node):
        if needed.intersection(node.output) and not names.intersection(node.output):
            kept.append(node)
            needed |= _reads(node)
    nodes = kept[::-1]
    inputs = [each for each in graph.input if each.name in needed]
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)


def _reads(node: Any) -> set[str]:
    """What a node and the graphs inside it read."""
    inner = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return set(node.input).union(*(_reads(each) for graph in inner for each in graph.node))


def _feed(
    path: str | Path, session: Any, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    theirs = {each.name: each.type for each in session.get_inputs()}
    if len(theirs) == len(inputs) == 1:
        inputs = dict(zip(theirs, inputs.values(), strict=True))
    for name, kind in theirs.items():
        if name not in inputs:
            raise NetspecError(
                f"'{path}' has an input '{name}', the net {', '.join(map(repr, inputs))}"
            )
        if kind not in _TYPES:
            raise NetspecError(f"'{path}': the input '{name}' is a {kind}, expected numbers")
    return {name: inputs[name].astype(_TYPES[kind]) for name, kind in theirs.items()}
