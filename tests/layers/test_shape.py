"""Layers that arrange values.

Shapes and faults without torch, values and gradients as the original's loops give them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch.module import NetModule
from tests import nets
from tests.layers.cases import AB, ABC, FOUR, SHAPE, Case
from tests.nets import Shape

Load = Callable[..., Net]


def net_text(layer: str, *shapes: Shape) -> str:
    """Inputs x0, x1, … and the layer below them, its own text from line 10 on."""
    text = nets.net_text(
        layer, force_backward=True, **{f"x{i}": shape for i, shape in enumerate(shapes)}
    )
    return text.replace('layer { name: "l"', "\n" * (8 - len(shapes)) + 'layer { name: "l"')


Y = 'top: "y"'


def test_params(load_text: Load) -> None:
    parameter = load_text(
        net_text(
            f'type: "Parameter" {Y} param {{ lr_mult: 2 }} parameter_param {{ shape {{ dim: 2 }} }}'
        )
    )
    assert [(param.shape, param.lr_mult) for param in parameter.layer("l").params] == [((2,), 2)]
    assert not parameter.inputs


RESHAPE = f'type: "Reshape" {Y} reshape_param {{'
# a newline stands before the faulty field
WRONG = [
    (
        f'type: "Slice" {AB} slice_param {{ axis: 1\nslice_dim: 1 }}',
        [FOUR],
        "'slice_dim' is the older form of 'axis'; give one of them",
    ),
    (
        f'type: "Slice" {AB} slice_param {{\naxis: 4 }}',
        [FOUR],
        "axis 4 is out of range for a blob of 4 axes",
    ),
    (
        f'type: "Slice" {AB} slice_param {{\nslice_dim: 4 }}',
        [FOUR],
        "axis 4 is out of range for a blob of 4 axes",
    ),
    (
        f'type: "Slice" {ABC} slice_param {{\nslice_point: 1 }}',
        [FOUR],
        "'slice_point' stands for each top but the first, 2 times, got 1",
    ),
    (
        f'type: "Slice" {ABC} slice_param {{ slice_point: 2\nslice_point: 2 }}',
        [FOUR],
        "each 'slice_point' must be above the one before, the first above 0; 2 follows 2",
    ),
    (
        f'type: "Slice" {ABC} slice_param {{ slice_point: 2\nslice_point: 7 }}',
        [FOUR],
        "axis 1 of 'x0' holds 6, which can't be cut into 3 tops at 2, 7",
    ),
    (
        'type: "Slice" top: "a" top: "b" top: "c"\ntop: "d"',
        [FOUR],
        "axis 1 of 'x0' holds 6, which does not divide into 4 equal tops",
    ),
    (RESHAPE + "shape { dim: -1\ndim: -1 } }", [FOUR], "-1 (what is left) may stand once only"),
    (
        RESHAPE + "shape { dim: 0\ndim: -2 } }",
        [FOUR],
        "a size is positive, 0 (copied) or -1 (what is left), not -2",
    ),
    (
        RESHAPE + "\nshape { dim: 7 dim: -1 } }",
        [FOUR],
        "the 144 values of 'x0' (2×6×3×4) do not fill 7×?",
    ),
    (
        RESHAPE + "\nshape { dim: 0 dim: 5 } }",
        [FOUR],
        "the 144 values of 'x0' (2×6×3×4) do not fill 2×5",
    ),
    (
        RESHAPE + "\nshape { dim: 0 dim: -1 dim: 5 } }",
        [(0, 6, 4)],
        "the 0 values of 'x0' (0×6×4) do not fill 0×?×5",
    ),
    (
        RESHAPE + "shape { dim: 1\ndim: 0 } axis: 3 }",
        [FOUR],
        "0 copies the size of the bottom's axis 4, but the last axis of 'x0' is 3",
    ),
    (
        RESHAPE + "shape { dim: 1 }\naxis: 5 }",
        [FOUR],
        "axis 5 is out of range for a blob of 4 axes, where it goes from -5 to 4",
    ),
    (
        RESHAPE + "shape { dim: 1 }\naxis: -6 }",
        [FOUR],
        "axis -6 is out of range for a blob of 4 axes, where it goes from -5 to 4",
    ),
    (
        RESHAPE + "shape { dim: 1 } axis: 2\nnum_axes: 3 }",
        [FOUR],
        "3 axes from axis 2 on are more than a blob of 4 axes has",
    ),
    (
        RESHAPE + "shape { dim: 1 }\nnum_axes: -2 }",
        [FOUR],
        "'num_axes' is at least 0, or -1 for all, not -2",
    ),
    (f'type: "Tile" {Y}\ntile_param {{ axis: 1 }}', [FOUR], "'tiles' must be given and at least 1"),
    (
        f'type: "Tile" {Y} tile_param {{\ntiles: 0 }}',
        [FOUR],
        "'tiles' must be given and at least 1",
    ),
    (
        f'type: "Flatten" {Y} flatten_param {{ axis: 2\nend_axis: 0 }}',
        [FOUR],
        "'end_axis' 0 lies before 'axis' 2",
    ),
    (
        f'type: "Tile" {Y} tile_param {{ tiles: 2\naxis: 4 }}',
        [FOUR],
        "axis 4 is out of range for a blob of 4 axes",
    ),
    (
        f'type: "Crop" {Y} crop_param {{ axis: 1 offset: 1\noffset: 2 }}',
        [FOUR, FOUR],
        "'offset' takes one value, or 3 for the axes from 1 on, got 2",
    ),
    (
        f'type: "Crop" {Y} crop_param {{\naxis: 4 }}',
        [FOUR, FOUR],
        "axis 4 is out of range for a blob of 4 axes",
    ),
    (
        f'type: "Crop" {Y} crop_param {{ axis: 2 offset: 0\noffset: 3 }}',
        [FOUR, (2, 6, 3, 2)],
        "axis 3 of 'x0' holds 4, which can't be cut to 2 from 3 on",
    ),
    (
        f'type: "Crop" {Y} crop_param {{\noffset: 1 }}',
        [FOUR, (1, 1, 3, 2)],
        "axis 2 of 'x0' holds 3, which can't be cut to 3 from 1 on",
    ),
    (
        f'type: "ArgMax" {Y} argmax_param {{\ntop_k: 0 }}',
        [FOUR],
        "'top_k' must be at least 1, got 0",
    ),
    (
        f'type: "ArgMax" {Y} argmax_param {{\ntop_k: 73 }}',
        [FOUR],
        "'top_k' is 73, but an item of 'x0' holds 72 values",
    ),
    (
        f'type: "ArgMax" {Y} argmax_param {{ axis: 1\ntop_k: 7 }}',
        [FOUR],
        "'top_k' is 7, but axis 1 of 'x0' holds 6 values",
    ),
    (
        f'type: "ArgMax" {Y} argmax_param {{\naxis: -5 }}',
        [FOUR],
        "axis -5 is out of range for a blob of 4 axes",
    ),
    (
        f'type: "Filter" \n{AB}',
        [FOUR, (2,)],
        "each bottom but the last, the selector, makes one top, got 2 and 2",
    ),
    (
        f'type: "Embed" {Y}\nembed_param {{ num_output: 3 }}',
        [(3,)],
        "'input_dim' must be given and at least 1",
    ),
    (
        f'type: "Embed" {Y} embed_param {{ input_dim: 2\nnum_output: 0 }}',
        [(3,)],
        "'num_output' must be given and at least 1",
    ),
    (
        f'type: "Parameter" {Y} parameter_param {{ shape {{ dim: 2\ndim: -1 }} }}',
        [],
        "a size can't be negative, got -1",
    ),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), WRONG)
def test_a_fault_is_reported_at_its_field(
    load_text: Load, layer: str, bottoms: list, message: str
) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(layer, *bottoms))
    (fault,) = raised.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span is not None
    assert fault.span.line == 11


WRONG_BOTTOMS = [
    ('type: "Crop"', [FOUR, (2, 6, 3)], "'x1' has 3 axes, but 'x0' is cut up to axis 3"),
    (
        'type: "Crop"',
        [FOUR, (2, 6, 3, 5)],
        "axis 3 of 'x0' holds 4, which can't be cut to 5 from 0 on",
    ),
    ('type: "BatchReindex"', [FOUR, (2, 1)], "'x1' lists the items, with one axis, and has 2"),
    ('type: "BatchReindex"', [(), (2,)], "'x0' has no axis of items"),
    ('type: "Filter"', [FOUR, (2, 2)], "the selector 'x1' has one value for each item, not 2×2"),
    ('type: "Filter"', [FOUR, ()], "the selector 'x1' has one value for each item, not scalar"),
    ('type: "Filter"', [FOUR, (3,)], "'x0' holds 2 items, but the selector 'x1' 3"),
    ('type: "ArgMax"', [()], "a blob without any axis has no largest values"),
]


@pytest.mark.parametrize(("layer", "bottoms", "message"), WRONG_BOTTOMS)
def test_bottoms_that_do_not_fit(load_text: Load, layer: str, bottoms: list, message: str) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(f"{layer} {Y}", *bottoms))
    (fault,) = raised.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span is not None
    assert fault.span.text.startswith('"x')


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def compiled(load_text: Load, layer: str, *bottoms: Tensor, seed: int = 1) -> NetModule:
    return netspec.compile(
        load_text(net_text(layer, *[tuple(x.shape) for x in bottoms])), seed=seed
    ).double()


def largest(rows: np.ndarray, k: int) -> list[list[tuple[float, int]]]:
    """The k largest of each row as the original finds them.

    Pairs of value and place, sorted from above.
    """
    return [
        sorted(((value, i) for i, value in enumerate(row)), reverse=True)[:k]
        for row in rows.tolist()
    ]


@pytest.mark.parametrize("k", [1, 4])
def test_argmax_takes_the_last_of_equal_values_first(load_text: Load, k: int) -> None:
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (5, 3, 4)).astype(np.float64))
    found = largest(x.numpy().reshape(5, 12), k)
    out = compiled(load_text, f'type: "ArgMax" {Y} argmax_param {{ top_k: {k} }}', x)(x)["y"]
    assert out.tolist() == [[[float(place) for _, place in row]] for row in found]
    out = compiled(
        load_text, f'type: "ArgMax" {Y} argmax_param {{ top_k: {k} out_max_val: true }}', x
    )(x)["y"]
    assert out.tolist() == [
        [[float(place) for _, place in row], [value for value, _ in row]] for row in found
    ]


@pytest.mark.parametrize("k", [1, 2])
def test_argmax_along_an_axis(load_text: Load, k: int) -> None:
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, 5, 3)).astype(np.float64))
    found = largest(x.movedim(1, -1).reshape(6, 5).numpy(), k)
    for is_value, field in enumerate(("", "out_max_val: true")):
        out = compiled(
            load_text, f'type: "ArgMax" {Y} argmax_param {{ axis: -2 top_k: {k} {field} }}', x
        )(x)["y"]
        assert out.movedim(1, -1).reshape(6, k).tolist() == [
            [float(pair[1 - is_value]) for pair in row] for row in found
        ]


def test_argmax_gives_places_above_256_to_bfloat16_too(load_text: Load) -> None:
    x = torch.arange(600.0).reshape(2, 300).bfloat16()
    out = compiled(load_text, f'type: "ArgMax" {Y}', x)(x)["y"]
    assert out.dtype == torch.float32
    assert out.flatten().tolist() == [299, 299]


def test_crop_and_its_gradient(load_text: Load) -> None:
    x, size = values(2, 6, 5, 4).requires_grad_(), values(2, 1, 3, 2).requires_grad_()
    y = compiled(load_text, f'type: "Crop" {Y} crop_param {{ offset: 1 offset: 2 }}', x, size)(
        x, size
    )["y"]
    assert torch.equal(y, x[:, :, 1:4, 2:4])
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == y.numel() == x.grad[:, :, 1:4, 2:4].sum()
    assert size.grad is None


def test_tile_repeats_blocks(load_text: Load) -> None:
    x = values(2, 3, 2)
    y = compiled(load_text, f'type: "Tile" {Y} tile_param {{ tiles: 2 }}', x)(x)["y"]
    assert torch.equal(y, torch.cat([x, x], 1))


def test_batch_reindex_sums_gradients(load_text: Load) -> None:
    x, index = values(3, 2).requires_grad_(), torch.tensor([2.0, 0.0, 2.5, 2.0])
    y = compiled(load_text, f'type: "BatchReindex" {Y}', x, index)(x, index)["y"]
    assert torch.equal(y, x[[2, 0, 2, 2]])
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 1], [0, 0], [3, 3]]


@pytest.mark.parametrize(("bad", "text"), [(3.0, "3"), (-0.5, "-0.5"), (float("nan"), "nan")])
def test_batch_reindex_names_a_wrong_item(load_text: Load, bad: float, text: str) -> None:
    x, index = values(3, 2), torch.tensor([2.0, bad])
    with pytest.raises(
        NetspecError, match=rf"layer 'l': 'x1'\[1\] is {text}, but there are rows 0 to 2"
    ):
        compiled(load_text, f'type: "BatchReindex" {Y}', x, index)(x, index)


@pytest.mark.parametrize(
    "chosen", [[0, 0, 0, 0], [1, 0, -2, 0.5], [1, 1, 1, 1], [float("nan"), 0, 0, 0]]
)
def test_filter_keeps_items_and_scatters_gradients(load_text: Load, chosen: list[float]) -> None:
    x, z, selector = values(4, 3).requires_grad_(), values(4), torch.tensor(chosen).reshape(4, 1)
    out = compiled(load_text, f'type: "Filter" {AB}', x, z, selector)(x, z, selector)
    kept = [i for i, value in enumerate(chosen) if value != 0]
    assert torch.equal(out["a"], x[kept])
    assert torch.equal(out["b"], z[kept])
    out["a"].sum().backward()
    assert x.grad is not None
    assert x.grad[:, 0].tolist() == [float(i in kept) for i in range(4)]


EMBED = (
    f'type: "Embed" {Y} embed_param {{ num_output: 4 input_dim: 5 '
    'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } }'
)


def test_embed(load_text: Load) -> None:
    x = torch.tensor([[4.0, 0.0, 4.0], [-0.5, 1.75, 2.0]])  # a fraction is dropped
    module = compiled(load_text, EMBED, x)
    weight, bias = (blob.requires_grad_() for blob in module.params["l"])
    y = module(x)["y"]
    assert torch.equal(y, weight[torch.tensor([[4, 0, 4], [0, 1, 2]])] + bias)
    y.sum().backward()
    assert weight.grad is not None
    assert weight.grad[:, 0].tolist() == [2, 1, 1, 0, 2]
    assert bias.grad is not None
    assert bias.grad.tolist() == [6] * 4
    with pytest.raises(
        NetspecError, match=r"layer 'l': 'x0'\[1, 0\] is -1, but there are rows 0 to 4"
    ):
        module(torch.tensor([[4.0, 0.0, 4.0], [-1.5, 5.0, 2.0]]))


def test_parameter_learns_from_the_layers_that_read_it(load_text: Load) -> None:
    text = (
        'layer { name: "l" type: "Parameter" top: "w" '
        "parameter_param { shape { dim: 2 dim: 3 } } }\n"
    )
    text += (
        'layer { name: "s" type: "Eltwise" bottom: "x0" bottom: "w" top: "y" '
        "eltwise_param { operation: PROD } }\n"
    )
    x = values(2, 3)
    module = netspec.compile(
        load_text(net_text('type: "Split" top: "z"', (2, 3)).replace('"l"', '"split"') + text)
    ).double()
    (weight,) = module.params["l"]
    assert torch.equal(weight, torch.zeros(2, 3, dtype=torch.float64))
    module(x)["y"].sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, x)


def test_parameter_that_nothing_reads_has_no_gradient(load_text: Load) -> None:
    y = netspec.compile(
        load_text(net_text(f'type: "Parameter" {Y} parameter_param {{ shape {{ dim: 2 }} }}'))
    )()["y"]
    assert not y.requires_grad


# all but those that take their shape from data, and those without a gradient
MODULES = [
    case
    for case in SHAPE
    if case.bottoms and "Filter" not in case.layer and "Embed" not in case.layer
]


@pytest.mark.parametrize("case", MODULES, ids=str)
def test_every_type_memory_format_and_batch(load_text: Load, case: Case) -> None:
    """Double precision with gradcheck, bfloat16, channels_last and torch.compile agree."""
    inputs = [
        torch.zeros(shape, dtype=torch.float64)
        if "BatchReindex" in case.layer and i
        else values(*shape, seed=i)
        for i, shape in enumerate(case.bottoms)
    ]
    module = compiled(load_text, case.layer, *inputs)
    wanted = module(*inputs)
    last = [x.to(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs]
    torch._dynamo.reset()  # it gives up on a function that many modules share
    traced = torch.compile(module, fullgraph=True, backend="aot_eager")(*inputs)
    half = module.bfloat16()(*[x.bfloat16() for x in inputs])
    for top, value in wanted.items():
        assert torch.equal(module.double()(*last)[top], value)
        assert torch.equal(traced[top], value)
        if "ArgMax" not in case.layer:
            torch.testing.assert_close(half[top].double(), value, rtol=1e-2, atol=1e-2)
    if "ArgMax" not in case.layer and inputs[0].numel():
        first = inputs[0].requires_grad_()
        assert torch.autograd.gradcheck(lambda x: tuple(module(x, *inputs[1:]).values()), first)


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize(
    "layer",
    [
        f'type: "Slice" {ABC}',
        RESHAPE + "shape { dim: 0 dim: -1 dim: 2 } }",
        f'type: "Tile" {Y} tile_param {{ tiles: 2 }}',
        f'type: "ArgMax" {Y}',
    ],
)
def test_batches_of_another_size(load_text: Load, layer: str, batch: int) -> None:
    module, x = compiled(load_text, layer, values(*FOUR)), values(batch, 6, 3, 4)
    for top, value in module(x).items():
        assert value.shape == load_text(net_text(layer, tuple(x.shape))).blobs[top].shape
