"""`netspec.export`: a net and its weights into a file of another program, by its suffix.

An ONNX model is held against the module on random input before the file gets its name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.hint import did_you_mean
from netspec.pytorch.compile import compile
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.standalone.export_module import SEED, write_standalone
from netspec.pytorch.weights import save_weights
from netspec.weights.files import WRITABLE

TOLERANCE = 1e-4  # the largest difference, relative to the largest value of an output
SUFFIXES = (".onnx", ".py", ".pt2", ".pt", *WRITABLE)
_LARGEST_ONNX = 2**31 - 1  # bytes of a protobuf message
_SEED = 1


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the files, and for each output how far the file's values are off.

    `differences` holds the largest difference, relative to the largest value; empty where the
    format holds values alone.
    """

    paths: tuple[str, ...]
    differences: dict[str, float]

    def __str__(self) -> str:
        lines = [f"wrote {', '.join(self.paths)}"]
        if self.differences:
            worst = max(self.differences, key=lambda name: self.differences[name])
            lines.append(
                f"largest difference to the module on random input: "
                f"{self.differences[worst]:.1e} of the largest value, in '{worst}'"
            )
        return "\n".join(lines)


def export(
    net: NetModule | Net | str | Path,
    path: str | Path,
    weights: str | Path | Iterable[str | Path] | None = None,
    outputs: str | Iterable[str] | None = None,
    **options: Any,
) -> Exported:
    """Writes a net and its weights to a file, whose suffix says in which format.

    `.onnx` has a node a layer wherever ONNX has the operator, with the layers' and blobs' names;
    `.py` is a class that imports torch alone, its weights beside it as `.safetensors`; `.pt2` is
    torch.export's, `.pt` a state_dict; the other formats hold weights alone.

    Args:
        net: a compiled module, a loaded net, or the path of one.
        path: the file to write.
        weights: files of weights, for a net that is no module.
        outputs: the blobs that the exported net gives; None is the net's own.
        options: those of `netspec.compile`, for the path of a net.

    Raises: NetspecError where the format is not known, a layer can't be exported, or the exported
        net gives other values; nothing is written then.
    """
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        hint = did_you_mean(suffix, SUFFIXES) or f"the formats are {', '.join(SUFFIXES)}"
        raise NetspecError(f"'{path}': there is no format '{suffix}'", None, hint)
    if isinstance(net, NetModule):
        if weights is not None or outputs is not None or options:
            raise NetspecError(
                "a module is exported as it is: 'weights' and 'outputs' go to compile"
            )
        module = net
    else:
        module = compile(net, outputs=outputs, weights=weights, **options)
    if suffix == ".onnx":
        return _onnx(module, path)
    if suffix == ".py":
        return _python(module, Path(path))
    if suffix == ".pt2":
        return _pt2(module, path)
    if suffix == ".pt":
        write_atomically(path, lambda file: torch.save(module.state_dict(), file))
    else:
        save_weights(module, path)
    return Exported((str(path),), {})


def random_inputs(module: NetModule) -> dict[str, Tensor]:
    """Values in [0, 1) for every input, in the shapes that the net declares."""
    generator = torch.Generator().manual_seed(_SEED)
    shapes = module.about.input_shapes
    return {name: torch.rand(shapes[name], generator=generator) for name in module.input_names}


def module_values(module: NetModule, inputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The module's outputs on the CPU, as arrays."""
    device = next((value.device for value in module.state_dict().values()), torch.device("cpu"))
    with torch.no_grad():
        outputs = module(**{name: value.to(device) for name, value in inputs.items()})
    return {name: value.cpu().numpy() for name, value in outputs.items()}


def _onnx(module: NetModule, path: str | Path) -> Exported:
    try:
        import onnx
        import onnxruntime
    except ImportError:
        hint = "pip install 'netspec[onnx]'"
        raise NetspecError(
            f"'{path}': onnx and onnxruntime are not installed", None, hint
        ) from None
    from netspec.exporters.write_onnx import onnx_model

    params = [[blob.detach().cpu().numpy() for blob in blobs] for blobs in module.layer_params]
    model = onnx_model(net_of(module), params, module.output_names)
    inputs = random_inputs(module)
    wanted = module_values(module, inputs)
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise NetspecError(f"'{path}' can't be written", None, f"there is no folder '{folder}'")
    with tempfile.TemporaryDirectory(prefix=".netspec-", dir=folder) as trial:
        file, data = Path(trial) / Path(path).name, f"{Path(path).name}.data"
        is_large = model.ByteSize() > _LARGEST_ONNX
        onnx.save_model(model, file, save_as_external_data=is_large, location=data)
        onnx.checker.check_model(str(file), full_check=True)
        onnxruntime.set_default_logger_severity(4)
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        feed = {each.name: inputs[each.name].numpy() for each in session.get_inputs()}
        got = dict(zip(module.output_names, session.run(module.output_names, feed), strict=True))
        differences = {name: _difference(got[name], value) for name, value in wanted.items()}
        _require_equal(differences)
        # the values first: a model that is there can be read
        names = [*([data] if is_large else []), file.name]
        for name in names:
            os.replace(Path(trial) / name, folder / name)
    return Exported(tuple(str(Path(path).parent / name) for name in reversed(names)), differences)


def _python(module: NetModule, path: Path) -> Exported:
    inputs, state = random_inputs(module), deepcopy(module.state_dict())
    torch.manual_seed(SEED)
    wanted = module_values(module, inputs)
    module.load_state_dict(state)  # statistics of a TRAIN net
    differences: dict[str, float] = {}

    def check(got: dict[str, Tensor]) -> None:
        for name, value in wanted.items():
            differences[name] = _difference(got[name].numpy(), value)
        _require_equal(differences)

    write_standalone(module, path, inputs, check)
    return Exported((str(path), str(path.with_suffix(".safetensors"))), differences)


def _require_equal(differences: dict[str, float]) -> None:
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise NetspecError(
                f"the exported '{name}' differs from the module's by {difference:.1e} of its "
                "largest value; nothing was written"
            )


def _pt2(module: NetModule, path: str | Path) -> Exported:
    inputs = random_inputs(module)
    sizes = {value.shape[0] for value in inputs.values() if value.dim()}
    if sizes == {1}:  # torch takes an axis of length 1 for a constant
        inputs = {name: value.repeat(2, *[1] * (value.dim() - 1)) for name, value in inputs.items()}
    shapes = tuple(
        {0: torch.export.Dim.AUTO} if len(sizes) == 1 and value.dim() else None
        for value in inputs.values()
    )
    try:
        program = torch.export.export(
            module, tuple(inputs.values()), dynamic_shapes=shapes, strict=False
        )
    except Exception as error:  # what torch can't trace has many kinds of exceptions
        reason = str(error).partition("\n")[0]
        raise NetspecError(f"torch.export can't take the net: {reason}") from error
    wanted = module_values(module, inputs)
    with torch.no_grad():
        got = program.module()(*inputs.values())
    differences = {name: _difference(got[name].numpy(), value) for name, value in wanted.items()}

    def write(file: BinaryIO) -> None:
        torch.export.save(program, file)

    write_atomically(path, write)
    return Exported((str(path),), differences)


def _difference(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, relative to the largest value; equal infinities and NaN agree."""
    if got.shape != wanted.shape:
        return float("inf")
    both, given = wanted.astype(np.float64), got.astype(np.float64)
    same = (both == given) | (np.isnan(both) & np.isnan(given))
    if same.all():
        return 0.0
    largest = np.abs(both[np.isfinite(both)]).max(initial=1e-30)
    return float(np.where(same, 0, np.abs(both - given)).max() / largest)
