"""`netspec.export`: a net and its weights into a file of another program, by its suffix.

An ONNX model is held against the module on random input before the file gets its name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError, counted, did_you_mean
from netspec.exporters.differences import relative_difference as _difference
from netspec.exporters.half_layers import half_layers
from netspec.exporters.net_text import net_text
from netspec.exporters.run_onnx import onnx_values
from netspec.graph import Net
from netspec.pytorch.carried import Carried
from netspec.pytorch.compile import compile
from netspec.pytorch.follow_onnx import choosing_layers, follow_onnx, values_around
from netspec.pytorch.half import half_module, save_half
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.weights import save_weights
from netspec.weights.files import WRITABLE

TOLERANCE = 1e-4  # the largest difference, relative to the largest value of an output
HALF_TOLERANCE = 2e-2  # the same in half precision, of which ten bits are behind the point
HALF_SUFFIXES = (".onnx", ".pt2", ".pt", ".safetensors")
SUFFIXES = (".onnx", ".pt2", ".pt", *WRITABLE)
_LARGEST_ONNX = 2**31 - 1  # bytes of a protobuf message
_SEED = 1


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the files, and for each output how far the file's values are off.

    `differences` holds the largest difference, relative to the largest value; empty where the
    format holds values alone. `notes` say what else was done to the net.
    """

    paths: tuple[str, ...]
    differences: dict[str, float]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"wrote {', '.join(self.paths)}", *self.notes]
        if self.differences:
            worst = max(self.differences, key=lambda name: self.differences[name])
            lines.append(
                f"largest difference to the module on random input: "
                f"{self.differences[worst]:.1e} of the largest value, in '{worst}'"
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is written, and the module that its values are held against."""

    module: NetModule
    reference: NetModule
    is_half: bool = False

    @property
    def tolerance(self) -> float:
        """Of a difference, relative to the largest value."""
        return HALF_TOLERANCE if self.is_half else TOLERANCE

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be said of it."""
        if not self.is_half:
            return ()
        net = net_of(self.module)
        count = len(half_layers(net))
        return (
            f"half precision in {count} of {counted(len(net.layers), 'layer')}; "
            f"the difference may be {self.tolerance:g}, not {TOLERANCE:g}",
        )

    def run(self) -> NetModule:
        """The module that computes what is written."""
        return half_module(self.module) if self.is_half else self.module

    def held_against(
        self, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], what: str
    ) -> dict[str, float]:
        """How far each output is off. Raises: NetspecError where that is too much."""
        differences = {name: _difference(got[name], value) for name, value in wanted.items()}
        for name, difference in differences.items():
            if not difference <= self.tolerance:
                raise NetspecError(
                    f"the {what} '{name}' differs from the module's by {difference:.1e} of its "
                    f"largest value, more than {self.tolerance:g}; nothing was written"
                )
        return differences


def export(
    net: NetModule | Net | str | Path,
    path: str | Path,
    weights: str | Path | Iterable[str | Path] | None = None,
    outputs: str | Iterable[str] | None = None,
    fold_batchnorm: bool = False,
    half: bool = False,
    **options: Any,
) -> Exported:
    """Writes a net and its weights to a file, whose suffix says in which format.

    `.onnx` has a node a layer wherever ONNX has the operator, with the layers' and blobs' names;
    `.pt2` is torch.export's, `.pt` a state_dict; the other formats hold weights alone.

    Args:
        net: a compiled module, a loaded net, or the path of one.
        path: the file to write.
        weights: files of weights, for a net that is no module.
        outputs: the blobs that the exported net gives; None is the net's own.
        fold_batchnorm: fold BatchNorm, Scale and Bias layers into those with weights. A file of
            weights has the folded net as a prototxt beside it.
        half: convolutions and dense layers, and what follows them, compute in half precision and
            have their weights in it; inputs and outputs stay in single.
        options: those of `netspec.compile`, for the path of a net.

    Raises: NetspecError where the format is not known, a layer can't be exported, or the exported
        net gives other values; nothing is written then.
    """
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        hint = did_you_mean(suffix, SUFFIXES) or f"the formats are {', '.join(SUFFIXES)}"
        raise NetspecError(f"'{path}': there is no format '{suffix}'", None, hint)
    if half and suffix not in HALF_SUFFIXES:
        raise NetspecError(
            f"'{path}': '{suffix}' has no half precision",
            None,
            f"the formats that have it are {', '.join(HALF_SUFFIXES)}",
        )
    if isinstance(net, NetModule):
        if weights is not None or outputs is not None or options:
            raise NetspecError(
                "a module is exported as it is: 'weights' and 'outputs' go to compile"
            )
        module = net
    else:
        module = compile(net, outputs=outputs, weights=weights, **options)
    if fold_batchnorm:
        return _folded(module, path, half)
    return _written(_Subject(module, module, half), path)


def _written(subject: _Subject, path: str | Path) -> Exported:
    """Writes the file. What a model computes is held against the reference."""
    suffix = Path(path).suffix
    if suffix == ".onnx":
        return _onnx(subject, path)
    if suffix == ".pt2":
        return _pt2(subject, path)
    differences: dict[str, float] = {}
    module = subject.run()
    if subject.is_half:
        inputs = random_inputs(module)
        wanted = module_values(subject.reference, inputs)
        differences = subject.held_against(module_values(module, inputs), wanted, "exported")
    if suffix == ".pt":
        write_atomically(path, lambda file: torch.save(module.state_dict(), file))
    elif subject.is_half:
        save_half(module, path)
    else:
        save_weights(module, path)
    return Exported((str(path),), differences, subject.notes)


def _folded(module: NetModule, path: str | Path, half: bool) -> Exported:
    """Writes the file of the folded net; the net itself beside what holds weights alone."""
    from netspec.pytorch.fold_batchnorm import fold_module, told

    folded, folds = fold_module(module)
    held = Carried({"net": module, "folded": folded})
    inputs, states = random_inputs(module), held.held()
    wanted = module_values(module, inputs)
    _Subject(folded, module).held_against(module_values(folded, inputs), wanted, "folded")
    held.put_back(states)
    beside = folded_net_path(path)
    text = net_text(net_of(folded)).encode(errors="surrogateescape") if beside else b""
    own = Path(net_of(module).path)
    if beside and own.is_file() and beside.exists() and beside.samefile(own):
        raise NetspecError(f"'{beside}', the folded net, would be written over the net itself")
    made = _written(_Subject(folded, module, half), path)
    if beside:
        write_atomically(beside, text)
    paths = (*made.paths, *([str(beside)] if beside else []))
    return Exported(paths, made.differences, (told(folds), *made.notes))


def folded_net_path(path: str | Path) -> Path | None:
    """Where the folded net goes that a file of weights is for; None where the file has it."""
    if Path(path).suffix in (".onnx", ".pt2", ".py"):
        return None
    name = Path(path).name.removesuffix(Path(path).suffix).removesuffix(".caffemodel")
    return Path(path).with_name(f"{name}.prototxt")


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


def _onnx(subject: _Subject, path: str | Path) -> Exported:
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError:
        hint = "pip install 'netspec[onnx]'"
        raise NetspecError(
            f"'{path}': onnx and onnxruntime are not installed", None, hint
        ) from None
    from netspec.exporters.write_onnx import onnx_model

    module, net = subject.module, net_of(subject.module)
    params = [[blob.detach().cpu().numpy() for blob in blobs] for blobs in module.layer_params]
    halves = half_layers(net) if subject.is_half else ()
    model = onnx_model(net, params, module.output_names, halves)
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise NetspecError(f"'{path}' can't be written", None, f"there is no folder '{folder}'")
    with tempfile.TemporaryDirectory(prefix=".netspec-", dir=folder) as trial:
        file, data = Path(trial) / Path(path).name, f"{Path(path).name}.data"
        is_large = model.ByteSize() > _LARGEST_ONNX
        onnx.save_model(model, file, save_as_external_data=is_large, location=data)
        onnx.checker.check_model(str(file), full_check=True)
        differences, notes = _held_onnx(subject, file)
        # the values first: a model that is there can be read
        files = [*([data] if is_large else []), file.name]
        for name in files:
            os.replace(Path(trial) / name, folder / name)
    paths = tuple(str(Path(path).parent / name) for name in reversed(files))
    return Exported(paths, differences, notes)


def _held_onnx(subject: _Subject, file: Path) -> tuple[dict[str, float], tuple[str, ...]]:
    """How far a model is off on random input, and notes. Raises: NetspecError."""
    import onnxruntime

    net, outputs = net_of(subject.module), subject.module.output_names
    inputs = random_inputs(subject.module)
    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    feed = {each.name: inputs[each.name].numpy() for each in session.get_inputs()}
    got = dict(zip(outputs, session.run(outputs, feed), strict=True))
    layers = choosing_layers(net)
    if not layers:
        wanted = module_values(subject.reference, inputs)
        return subject.held_against(got, wanted, "exported"), subject.notes
    got |= onnx_values(file, feed, values_around(net, layers).union(outputs))
    wanted, chosen, notes = follow_onnx(subject.reference, net, inputs, got, subject.tolerance)
    differences = subject.held_against(got, wanted, "exported")
    own = {name: chosen.get(name, difference) for name, difference in differences.items()}
    return own, (*subject.notes, *notes)


def _pt2(subject: _Subject, path: str | Path) -> Exported:
    module = subject.run()
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
    wanted = module_values(subject.reference, inputs)
    with torch.no_grad():
        got = program.module()(*inputs.values())
    arrays = {name: value.numpy() for name, value in got.items()}
    differences = subject.held_against(arrays, wanted, "exported")

    def write(file: BinaryIO) -> None:
        torch.export.save(program, file)

    write_atomically(path, write)
    return Exported((str(path),), differences, subject.notes)
