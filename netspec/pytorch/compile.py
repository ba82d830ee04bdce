"""`netspec.compile`: from a net, or the path of one, to its module with params in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import torch

from netspec.diagnostics import NetspecError
from netspec.graph import Net, Shape
from netspec.options import phase_of
from netspec.pipeline import load
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import lay_channels_last, optimized
from netspec.pytorch.precision import require_precision, set_precision
from netspec.solver.run_options import PRECISIONS
from netspec.weights.choice import WeightChoice


def compile(
    net: Net | str | Path,
    phase: str | None = None,
    outputs: str | Iterable[str] | None = None,
    weights: str | Path | Iterable[str | Path] | None = None,
    seed: int | None = None,
    level: int = 0,
    stages: str | Iterable[str] = (),
    inputs: Mapping[str, Shape] | None = None,
    allow_python_layers: bool = False,
    strict: bool = True,
    plugins: Iterable[str | Path] = (),
    dialect: str | None = None,
    choice: WeightChoice | None = None,
    exact: bool = True,
    precision: str = PRECISIONS[0],
    device: str | torch.device = "cpu",
) -> NetModule:
    """Compiles a net to a torch.nn.Module.

    Args:
        net: a loaded net, or the path of one (then phase, level, stages, inputs,
            allow_python_layers, plugins and dialect go to `netspec.load`).
        phase: "TRAIN" or "TEST"; None is the loaded net's own, or TEST.
        outputs: blobs to cut the net at; layers that do not lead to them are left out, and so are
            inputs.
        weights: one or more files of weights, matched by layer name; a later one wins.
            `module.load_report` says what of them was loaded.
        seed: makes the fillers repeatable.
        strict: raise where weights do not fit the net, or no layer of it is in them; False only
            reports it.
        choice: which layers of the files are taken, and for which layers of the net.
        exact: False changes the order of sums to be faster: blobs lie channels last on the CPU, and
            for TEST BatchNorm, Scale and Bias are folded into the layers of weights beside them,
            whose params are then no longer the file's, and sums and ReLU layers are computed with
            the convolution before them.
        precision: of convolutions and dense layers: fp32, bf16, fp16 or tf32; params stay fp32.
        device: where the module computes.

    Raises: NetspecError where the net is wrong, an output is no blob, a layer can't be built,
        weights do not fit, or the device lacks the precision.
    """
    device = torch.device(device)
    require_precision(precision, device)
    paths = [weights] if isinstance(weights, (str, Path)) else list(weights or ())
    if not isinstance(net, Net):
        read = partial(
            load,
            net,
            phase or "TEST",
            level,
            stages,
            inputs,
            allow_python_layers=allow_python_layers,
            plugins=plugins,
            dialect=dialect,
        )
        net = read()
        if paths and any(layer.other_rules for layer in net.layers):
            net = read(blob_counts=_blob_counts(paths, choice or WeightChoice()))
    else:
        _require_same_state(net, phase, bool(level or stages or inputs or dialect))
    module = lower(net, None if outputs is None else _blob_names(outputs))
    fill_params(module, net, seed)
    if paths:
        from netspec.pytorch.weights import load_weight_files

        module.about.load_report = load_weight_files(module, paths, strict, choice)
    if not exact:
        module = _faster(module, device, precision)
    set_precision(module, precision, device)
    return module.to(device)


def _faster(module: NetModule, device: torch.device, precision: str) -> NetModule:
    """The module with another order of sums; the given one is no longer to be used."""
    if module.about.phase == "TRAIN":
        lay_channels_last(module, device)
        return module
    report = module.about.load_report
    module = optimized(module, device, precision)
    module.about.load_report = report
    return module


def _blob_counts(paths: Iterable[str | Path], choice: WeightChoice) -> dict[str, int]:
    """How many blobs files of weights have of each layer. Raises: NetspecError."""
    from netspec.weights.files import read_weights

    names = choice.tensor_names()
    files = [choice.taken(path, read_weights(path, names=names)) for path in paths]
    return {name: len(blobs) for weights in files for name, blobs in weights.items()}


def _require_same_state(net: Net, phase: str | None, is_more_given: bool) -> None:
    """Raises NetspecError where a loaded net is asked to be another one.

    Its layers are chosen and its shapes known.
    """
    hint = (
        "give phase, level, stages and inputs to netspec.load, "
        "or give netspec.compile the net's path"
    )
    if phase is not None and phase_of(phase) != net.phase:
        raise NetspecError(
            f"the net '{net.name}' is loaded for phase {net.phase}, got phase {phase_of(phase)}",
            None,
            hint,
        )
    if is_more_given:
        raise NetspecError(
            f"the net '{net.name}' is loaded already: 'level', "
            "'stages', 'inputs' and 'dialect' can't change it",
            None,
            hint,
        )


def _blob_names(outputs: str | Iterable[str]) -> list[str]:
    """One name or several as a list of them. Raises: NetspecError."""
    names = (
        list(outputs)
        if isinstance(outputs, Iterable) and not isinstance(outputs, str)
        else [outputs]
    )
    wrong = [repr(name) for name in names if not isinstance(name, str)]
    if wrong or not names:
        hint = 'such as outputs="fc7" or outputs=["fc6", "fc7"]'
        raise NetspecError(
            f"'outputs' takes names of blobs, got {wrong[0] if wrong else 'none'}", None, hint
        )
    return list(dict.fromkeys(names))
