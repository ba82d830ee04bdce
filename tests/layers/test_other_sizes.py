"""A compiled module is right at any size that the net would take.

Fed another size than declared, it gives what a net of that size gives.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net, Shape
from tests.conftest import REFERENCE
from tests.nets import net_text

NETS = sorted((REFERENCE / "layers").rglob("*.prototxt"))
# What is added to the first axis, and to the third and fourth, of every input.
CHANGES = {"batch": (2, 0, 0), "larger": (0, 3, 2), "smaller": (0, -1, -2), "all": (1, 6, 5)}
POOLINGS = {
    "global": "pool: AVE global_pooling: true",
    "global_max": "pool: MAX global_pooling: true",
    "ave_pad": "pool: AVE kernel_size: 3 stride: 1 pad: 2",
    "ave_gap": "pool: AVE kernel_size: 2 stride: 3",
    "max_pad": "pool: MAX kernel_size: 3 stride: 2 pad: 2",
    "max_gap": "pool: MAX kernel_size: 2 stride: 3",
    "max_floor": "pool: MAX kernel_size: 2 stride: 3 round_mode: FLOOR",
    "stochastic": "pool: STOCHASTIC kernel_size: 3 stride: 2",
}


def changed(shape: Shape, change: tuple[int, int, int]) -> Shape:
    batch, rows, columns = change
    sizes = list(shape)
    for axis, more in ((0, batch), (2, rows), (3, columns)):
        if axis < len(sizes):
            sizes[axis] += more
    return tuple(sizes)


def stand_ins(net: Net) -> dict[str, torch.Tensor]:
    """Values in [0, 1); bottoms that hold class indices, flags or positions are 0."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name in (*net.inputs, *net.sources):
        first = net.blobs[name].consumers[:1]
        is_index = any(
            layer.type == "Embed"
            or (i > 0 and layer.type not in ("Eltwise", "Scale", "Bias", "Concat", "EuclideanLoss"))
            for layer, i in first
        )
        value = torch.rand(net.blobs[name].shape or (), generator=generator)
        found[name] = torch.zeros_like(value) if is_index else value
    return found


def agree(path: Path, phase: str, change: tuple[int, int, int]) -> bool:
    """Whether the net takes the changed size at all.

    Asserts that the module as declared gives what it gives.
    """
    net = netspec.load(path, phase=phase)
    inputs = {
        name: changed(net.blobs[name].shape or (), change) for name in (*net.inputs, *net.sources)
    }
    try:
        other = netspec.load(path, phase=phase, inputs=inputs)
    except NetspecError:
        return False
    if [p.shape for layer in net.layers for p in layer.params] != [
        p.shape for layer in other.layers for p in layer.params
    ]:
        return False
    values = stand_ins(other)
    modules = [netspec.compile(n, seed=3) for n in (net, other)]
    with torch.no_grad():
        got, wanted = (module(**values) for module in modules)
    for name, value in wanted.items():
        assert got[name].shape == value.shape, name
        assert torch.allclose(got[name], value, atol=1e-6, equal_nan=True), name
    return True


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("path", NETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reference_net_of_another_size(path: Path, change: str) -> None:
    if "stochastic" in path.stem or "dropout" in path.stem or "filler" in path.stem:
        pytest.skip("draws at random")
    if not agree(path, "TEST", CHANGES[change]):
        pytest.skip("the net does not take this size")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_of_another_size(pooling: str, change: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        net_text(
            f'type: "Pooling" top: "y" pooling_param {{ {POOLINGS[pooling]} }}', x=(2, 3, 5, 6)
        )
    )
    assert agree(path, "TEST", CHANGES[change])


def test_the_mask_counts_in_the_plane_that_is_fed(load_text):
    pooling = 'type: "Pooling" top: "y" top: "m" pooling_param { kernel_size: 2 stride: 2 }'
    text = net_text(pooling, x=(1, 1, 4, 4))
    outputs = netspec.compile(load_text(text))(torch.arange(36.0).view(1, 1, 6, 6))
    assert torch.equal(outputs["m"], outputs["y"])
