"""`netspec.export`: a net and its weights into a file of another program, by its suffix.

An ONNX model is compared with the module on random input before the file gets its name.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.exporters.half_layers import half_layers
from netspec.exporters.image_input import image_input
from netspec.exporters.net_text import net_text
from netspec.exporters.run_onnx import onnx_values
from netspec.extras import missing_package
from netspec.files.suffixes import WRITABLE_WEIGHTS
from netspec.graph import Net
from netspec.hint import did_you_mean
from netspec.pytorch.carried import Carried
from netspec.pytorch.compile import compile
from netspec.pytorch.export_subject import Subject, module_values, random_inputs
from netspec.pytorch.follow_values import choosing_layers, follow_values, values_around
from netspec.pytorch.half import save_half
from netspec.pytorch.image_module import ImageModule
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.picture_net import picture_input
from netspec.pytorch.standalone.export_module import SEED, write_standalone
from netspec.pytorch.standalone.write_module import module_text
from netspec.pytorch.weights import save_weights

GRAPH_SUFFIXES = (".onnx", ".pt2")
HALF_SUFFIXES = (".onnx", ".pt2", ".pt", ".safetensors")
SUFFIXES = (".onnx", ".py", ".pt2", ".pt", *WRITABLE_WEIGHTS)
_LARGEST_ONNX = 2**31 - 1  # bytes of a protobuf message


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the files, and for each output how far the file's values differ.

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


def export(
    net: NetModule | Net | str | Path,
    path: str | Path,
    weights: str | Path | Iterable[str | Path] | None = None,
    outputs: str | Iterable[str] | None = None,
    fold_batchnorm: bool = False,
    half: bool = False,
    with_preprocess: bool = False,
    uint8: bool = False,
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
        fold_batchnorm: fold BatchNorm, Scale and Bias layers into those with weights. A file of
            weights has the folded net as a prototxt beside it.
        half: convolutions and dense layers, and what follows them, compute in half precision and
            have their weights in it; inputs and outputs stay in single.
        with_preprocess: `.onnx` and `.pt2` take RGB pictures, 0 to 255; channel order, centre
            crop, mean and scale, as the net's file says in its comment, are part of the graph.
        uint8: these pictures are bytes; else they are numbers of single precision.
        options: those of `netspec.compile`, for the path of a net.

    Raises: NetspecError where the format is not known, a layer can't be exported, or the exported
        net gives other values; nothing is written then.
    """
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        hint = did_you_mean(suffix, SUFFIXES) or f"the formats are {', '.join(SUFFIXES)}"
        what = f": there is no format '{suffix}'" if suffix else " has no suffix"
        raise NetspecError(f"'{path}'{what}", None, hint)
    if half and suffix not in HALF_SUFFIXES:
        raise NetspecError(
            f"'{path}': '{suffix}' has no half precision",
            None,
            f"the formats that have it are {', '.join(HALF_SUFFIXES)}",
        )
    if with_preprocess and suffix not in GRAPH_SUFFIXES:
        formats = ", ".join(GRAPH_SUFFIXES)
        raise NetspecError(f"'{path}': preprocessing goes into {formats}, not into '{suffix}'")
    if uint8 and not with_preprocess:
        raise NetspecError("'uint8' is for the pictures of 'with_preprocess'")
    if isinstance(net, NetModule):
        if weights is not None or outputs is not None or options:
            raise NetspecError(
                "a module is exported as it is: 'weights' and 'outputs' go to compile"
            )
        module = net
    else:
        module = compile(net, outputs=outputs, weights=weights, **options)
    image = None
    if with_preprocess:
        graph = net_of(module)
        image = image_input(graph, picture_input(graph), uint8)
    subject = Subject(module, module, half, image)
    return _folded(subject, path) if fold_batchnorm else _written(subject, path)


def _written(subject: Subject, path: str | Path) -> Exported:
    """Writes the file. What a model computes is compared with the reference."""
    suffix = Path(path).suffix
    if suffix == ".onnx":
        return _onnx(subject, path)
    if suffix == ".pt2":
        return _pt2(subject, path)
    if suffix == ".py":
        return _python(subject, Path(path))
    differences: dict[str, float] = {}
    module = subject.run()
    if subject.is_half:
        differences = subject.compare(module, random_inputs(module), "exported")
    if suffix == ".pt":
        write_atomically(path, lambda file: torch.save(module.state_dict(), file))
    elif subject.is_half:
        save_half(module, path)
    else:
        save_weights(module, path)
    return Exported((str(path),), differences, subject.notes)


def _folded(subject: Subject, path: str | Path) -> Exported:
    """Writes the file of the folded net; the net itself beside what holds weights alone."""
    from netspec.pytorch.fold_batchnorm import fold_module, folds_text

    module = subject.module
    folded, folds = fold_module(module)
    held = Carried({"net": module, "folded": folded})
    states = held.held()
    Subject(folded, module).compare(folded, random_inputs(module), "folded")
    held.put_back(states)
    beside = folded_net_path(path)
    text = net_text(net_of(folded)).encode(errors="surrogateescape") if beside else b""
    own = Path(net_of(module).path)
    if beside and own.is_file() and beside.exists() and beside.samefile(own):
        raise NetspecError(f"'{beside}', the folded net, would be written over the net itself")
    made = _written(replace(subject, module=folded), path)
    if beside:
        write_atomically(beside, text)
    paths = (*made.paths, *([str(beside)] if beside else []))
    return Exported(paths, made.differences, (folds_text(folds), *made.notes))


def folded_net_path(path: str | Path) -> Path | None:
    """Where the folded net goes that a file of weights is for; None where the file has it."""
    if Path(path).suffix in (".onnx", ".pt2", ".py"):
        return None
    name = Path(path).name.removesuffix(Path(path).suffix).removesuffix(".caffemodel")
    return Path(path).with_name(f"{name}.prototxt")


def _onnx(subject: Subject, path: str | Path) -> Exported:
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise missing_package(error.name or "onnx", f"'{path}'") from None
    from netspec.exporters.write_onnx import onnx_model

    module, net = subject.module, net_of(subject.module)
    params = [[blob.detach().cpu().numpy() for blob in blobs] for blobs in module.layer_params]
    halves = half_layers(net) if subject.is_half else ()
    model = onnx_model(net, params, module.output_names, halves, subject.image)
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise NetspecError(f"'{path}' can't be written", None, f"folder '{folder}' does not exist")
    with tempfile.TemporaryDirectory(prefix=".netspec-", dir=folder) as trial:
        file, data = Path(trial) / Path(path).name, f"{Path(path).name}.data"
        is_large = model.ByteSize() > _LARGEST_ONNX
        onnx.save_model(model, file, save_as_external_data=is_large, location=data)
        onnx.checker.check_model(str(file), full_check=True)
        differences, notes = _compare_onnx(subject, file)
        # the values first: a model that is there can be read
        files = [*([data] if is_large else []), file.name]
        for name in files:
            os.replace(Path(trial) / name, folder / name)
    paths = tuple(str(Path(path).parent / name) for name in reversed(files))
    return Exported(paths, differences, notes)


def _compare_onnx(subject: Subject, file: Path) -> tuple[dict[str, float], tuple[str, ...]]:
    """How far a model differs on random input, and notes. Raises: NetspecError."""
    import onnxruntime

    net, outputs = net_of(subject.module), subject.module.output_names
    given, inputs = subject.feed()
    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    feed = {each.name: given[each.name].numpy() for each in session.get_inputs()}
    got = dict(zip(outputs, session.run(outputs, feed), strict=True))
    layers = choosing_layers(net)
    if not layers:
        wanted = module_values(subject.reference, inputs)
        return subject.compare_values(got, wanted, "exported"), subject.notes
    got |= onnx_values(file, feed, values_around(net, layers).union(outputs))
    wanted, chosen, notes = follow_values(subject.reference, net, inputs, got, subject.tolerance)
    differences = subject.compare_values(got, wanted, "exported")
    own = {name: chosen.get(name, difference) for name, difference in differences.items()}
    return own, (*subject.notes, *notes)


def _python(subject: Subject, path: Path) -> Exported:
    text = module_text(subject.module)  # what can't be written is not run either
    inputs = random_inputs(subject.module)
    states = Carried({"net": subject.module})
    held = states.held()
    torch.manual_seed(SEED)
    wanted = module_values(subject.reference, inputs)
    states.put_back(held)
    differences: dict[str, float] = {}

    def check(got: dict[str, Tensor]) -> None:
        arrays = {name: value.numpy() for name, value in got.items()}
        differences.update(subject.compare_values(arrays, wanted, "exported"))

    write_standalone(subject.module, text, path, inputs, check)
    paths = (str(path), str(path.with_suffix(".safetensors")))
    return Exported(paths, differences, subject.notes)


def _pt2(subject: Subject, path: str | Path) -> Exported:
    module: nn.Module = subject.run()
    if subject.image is not None:
        module = ImageModule(subject.run(), subject.image).train(module.training)
    given, inputs = subject.feed(least=2)  # torch takes an axis of length 1 for a constant
    sizes = {value.shape[0] for value in given.values() if value.dim()}
    shapes = tuple(
        {0: torch.export.Dim.AUTO} if len(sizes) == 1 and value.dim() else None
        for value in given.values()
    )
    try:
        program = torch.export.export(
            module, tuple(given.values()), dynamic_shapes=shapes, strict=False
        )
    except Exception as error:  # what torch can't trace has many kinds of exceptions
        reason = str(error).partition("\n")[0]
        raise NetspecError(f"torch.export can't take the net: {reason}") from error
    wanted = module_values(subject.reference, inputs)
    with torch.no_grad():
        got = program.module()(*given.values())
    arrays = {name: value.numpy() for name, value in got.items()}
    differences = subject.compare_values(arrays, wanted, "exported")

    def write(file: BinaryIO) -> None:
        with warnings.catch_warnings():  # that weights lie channels last, which the file keeps
            warnings.filterwarnings("ignore", "No complete tensor found in the group")
            torch.export.save(program, file)

    write_atomically(path, write)
    return Exported((str(path),), differences, subject.notes)
