"""Random nets through netspec and through a model of Caffe's net level that knows nothing of it.

The numbers must be the same in all of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import Report
from tests.pytorch.caffe_model import Net, Refused, Text

_PARAM = {"ReLU": "relu_param", "InnerProduct": "inner_product_param"}
_IN_PLACE = ("Power", "ReLU", "TanH", "Sigmoid", "BNLL", "ELU", "Exp", "Scale")
_OTHERS = (
    "AbsVal",
    "Flatten",
    "Flatten",
    "Reshape",
    "Reshape",
    "Split",
    "Concat",
    "Slice",
    "InnerProduct",
    "InnerProduct",
)
_KINDS = (*_IN_PLACE, *_OTHERS, "Eltwise", "Eltwise", "Silence", "EuclideanLoss", "Reduction")
_LEAST_AXES = {
    "Flatten": 2,
    "InnerProduct": 2,
    "Concat": 2,
    "Slice": 2,
    "EuclideanLoss": 1,
    "Reduction": 1,
    "Scale": 1,
}
_POWERS = (
    {"scale": -1.0},
    {"scale": 2.0, "shift": 0.5},
    {"power": 2.0, "shift": 0.25},
    {"power": 2.0},
    {"shift": 1.0},
    {"power": 3.0},
    {"scale": 0.0, "shift": 2.0},
)


def text_of(layers: list[Text], force_backward: bool) -> str:
    lines = ["force_backward: true"] if force_backward else []
    for layer in layers:
        words = [f'name: "{layer.name}" type: "{layer.type}"']
        words += [f'bottom: "{name}"' for name in layer.bottom] + [
            f'top: "{name}"' for name in layer.top
        ]
        words += [f"loss_weight: {weight}" for weight in layer.loss_weight]
        words += [f"propagate_down: {str(flag).lower()}" for flag in layer.propagate_down]
        words += [f"param {{ lr_mult: {rate} }}" for rate in layer.lr]
        if layer.type in ("Input", "Reshape"):
            dims = " ".join(f"dim: {dim}" for dim in layer.p["shape"])
            words.append(f"{layer.type.lower()}_param {{ shape {{ {dims} }} }}")
        elif layer.type == "Scale":
            words.append("scale_param { axis: 0 num_axes: 0 }")
        elif layer.p:
            fields = " ".join(f"{name}: {value}" for name, value in layer.p.items())
            words.append(f"{_PARAM.get(layer.type, layer.type.lower() + '_param')} {{ {fields} }}")
        lines.append(f"layer {{ {' '.join(words)} }}")
    return "\n".join(lines)


def random_layer(
    draw: random.Random, name: str, shapes: dict[str, tuple[int, ...]]
) -> tuple[Text, list[tuple[int, ...]]] | None:
    """A layer over one of the last blobs, and the shapes of its tops.

    None where it does not go with the blob.
    """
    kind, bottom = draw.choice(_KINDS), draw.choice(list(shapes)[-4:])
    shape = shapes[bottom]
    if len(shape) < _LEAST_AXES.get(kind, 0):
        return None
    layer, tops = Text(name, kind, [bottom], [f"t_{name}"]), [shape]
    if kind in _IN_PLACE and draw.random() < 0.6:
        layer.top = [bottom]
    if kind == "Power":
        layer.p = dict(draw.choice(_POWERS))
    elif kind == "ReLU" and draw.random() < 0.3:
        layer.p = {"negative_slope": 0.125}
    elif kind == "Flatten":
        tops = [(shape[0], prod(shape[1:]))]
    elif kind == "Reshape":
        tops = [draw.choice([(prod(shape),), (prod(shape), 1), (1, *shape), shape])]
        layer.p = {"shape": tops[0]}
    elif kind == "Split":
        layer.top = [f"t_{name}_{i}" for i in range(draw.randint(1, 3))]
        tops = [shape] * len(layer.top)
    elif kind == "InnerProduct":
        layer.p = {"num_output": draw.choice([2, 3])}
        tops = [(shape[0], layer.p["num_output"])]
    elif kind in ("Eltwise", "EuclideanLoss"):
        layer.bottom.append(draw.choice([other for other in shapes if shapes[other] == shape]))
        layer.p = (
            draw.choice([{}, {"operation": "PROD"}, {"operation": "MAX"}])
            if kind == "Eltwise"
            else {}
        )
        tops = [shape] if kind == "Eltwise" else [()]
    elif kind == "Reduction":
        layer.p, tops = draw.choice([{}, {"operation": "SUMSQ"}]), [()]
    elif kind == "Silence":
        layer.top, tops = [], []
    return layer, tops


def random_net(draw: random.Random) -> tuple[list[Text], bool]:
    """A net of a few layers, many in place or on shared memory; whether it has force_backward."""
    shape = (2, draw.choice([2, 3]), 2)
    shapes: dict[str, tuple[int, ...]] = {"x": shape, "z": shape}
    layers = [Text(name, "Input", [], [name], {"shape": shape}) for name in shapes]
    for i in range(draw.randint(2, 7)):
        made = random_layer(draw, f"l{i}", shapes)
        if made is None:
            continue
        layer, tops = made
        if layer.type == "Reduction" and draw.random() < 0.6:
            layer.loss_weight = [draw.choice([1.0, 2.0])]
        elif layer.top and draw.random() < 0.07:
            layer.loss_weight = [draw.choice([0.5, 0.0, 1.0]) for _ in layer.top]
        if draw.random() < 0.08:
            layer.propagate_down = [draw.random() < 0.5 for _ in layer.bottom]
        if layer.type in ("InnerProduct", "Scale") and draw.random() < 0.2:
            layer.lr = [
                draw.choice([0.0, 1.0]) for _ in range(2 if layer.type == "InnerProduct" else 1)
            ]
        layers.append(layer)
        shapes.update(zip(layer.top, tops, strict=True))
    if draw.random() < 0.7:
        layers.append(
            Text(
                "last",
                "Reduction",
                [[name for name in shapes if shapes[name]][-1]],
                ["last"],
                {},
                [1.0],
            )
        )
    return layers, draw.random() < 0.5


def differences(layers: list[Text], force_backward: bool, seed: int, path: Path) -> Iterator[str]:
    """What netspec gives otherwise than the model.

    Raises: Refused where Caffe takes no such net.
    """
    rng, model = np.random.default_rng(seed), Net(layers, force_backward)
    path.write_text(text_of(layers, force_backward))
    report = Report()
    module = netspec.compile(netspec.load(path, phase="TRAIN", report=report)).double()
    feed = {}
    for layer in model.layers:
        if layer.text.type == "Input":
            values = rng.normal(size=prod(layer.p["shape"])).round(2) + 0.01
            model.blobs[layer.text.name].data.v[:] = values
            feed[layer.text.name] = (
                torch.from_numpy(values.copy()).view(layer.p["shape"]).requires_grad_()
            )
        for i, blob in enumerate(layer.blobs):
            values = rng.normal(size=blob.count).round(2)
            blob.data.v[: blob.count] = values
            module.params[layer.text.name][i].data.copy_(torch.from_numpy(values).view(blob.shape))
    wanted: dict[str, np.ndarray] = {"objective": np.array([model.forward()])}
    wanted |= {name: model.blobs[name].values.copy() for name in model.outputs}
    model.backward()
    outputs = module(**feed)
    loss = module.loss(outputs)
    if loss.requires_grad:
        loss.backward()
    if sorted(outputs) != model.outputs:
        yield f"outputs {sorted(outputs)}, expected {model.outputs}"
        return
    got = {"objective": loss.detach(), **outputs}
    if any("loses the gradient" in d.message for d in report.diagnostics):
        pass  # the true gradient in place of Caffe's, with a warning
    else:
        blobs = {
            (layer.text.name, i): blob
            for layer in model.layers
            for i, blob in enumerate(layer.blobs)
        }
        wanted |= {f"gradient of {name}/{i}": blob.gradient for (name, i), blob in blobs.items()}
        got |= {f"gradient of {name}/{i}": _gradient(module.params[name][i]) for name, i in blobs}
        if force_backward:
            wanted |= {f"gradient of {name}": model.blobs[name].gradient for name in feed}
            got |= {f"gradient of {name}": _gradient(value) for name, value in feed.items()}
    for name, value in wanted.items():
        found = got[name].detach().numpy().ravel()
        # Caffe multiplies a NaN by the 0 of a mask, torch leaves it out
        if name.startswith("gradient"):
            found = np.where(np.isnan(value), np.nan, found)
        if not np.allclose(found, value, rtol=1e-6, atol=1e-8, equal_nan=True):
            yield f"{name}: {found}, expected {value}"


def _gradient(value: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(value) if value.grad is None else value.grad


def check_seeds(seeds: range, path: Path) -> None:
    agreed = 0
    with np.errstate(all="ignore"):
        for seed in seeds:
            layers, force_backward = random_net(random.Random(seed))
            try:
                found = list(differences(layers, force_backward, seed, path))
            except Refused:
                continue
            assert not found, f"seed {seed}: {found}\n{path.read_text()}"
            agreed += 1
    assert agreed > len(seeds) / 2


def test_random_nets(tmp_path: Path) -> None:
    check_seeds(range(300), tmp_path / "net.prototxt")


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 9000, 1000))
def test_many_random_nets(first: int, tmp_path: Path) -> None:
    check_seeds(range(first, first + 1000), tmp_path / "net.prototxt")
