"""The forward pass of a training step against the net's own."""

from __future__ import annotations

import copy

import pytest
import torch

import netspec
from netspec.pytorch.module import NetModule
from netspec.pytorch.optimize import lay_channels_last
from netspec.pytorch.pooled_relu import pooled_relus
from netspec.pytorch.scaled_batch_norm import scaled_pairs
from netspec.pytorch.training_forward import TrainingForward

NET = """
name: "Net"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 3 dim: 5 dim: 5 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "BN" BATCH_NORM }
BETWEEN
layer { name: "scale" type: "Scale" bottom: "BN" top: "TOP" scale_param { SCALE } }
layer { name: "relu" type: "ReLU" bottom: "TOP" top: "TOP" }
layer { name: "ip" type: "InnerProduct" bottom: "TOP" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def text(
    bn: str = "bn", top: str = "top", batch_norm: str = "", scale: str = "", between: str = ""
) -> str:
    parts = {"BATCH_NORM": batch_norm, "BETWEEN": between, "SCALE": scale, "TOP": top, "BN": bn}
    made = NET
    for word, part in parts.items():
        made = made.replace(word, part)
    return made


def blobs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {
        "data": torch.randn(4, 3, 5, 5, generator=generator),
        "label": torch.tensor([0.0, 2.0, 1.0, 2.0]),
    }


def gradients(module: NetModule, outputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    module.zero_grad()
    module.loss(outputs).backward()
    return [param.grad.clone() for param in module.parameters() if param.grad is not None]


@pytest.mark.parametrize("scale", ["bias_term: true", "", "filler { value: 0 }"])
@pytest.mark.parametrize(("bn", "top"), [("bn", "top"), ("conv", "conv")])
def test_batch_norm_and_scale_are_one_in_training(load_text, scale: str, bn: str, top: str) -> None:
    net = load_text(text(bn, top, scale=scale), phase="TRAIN")
    module = netspec.compile(net, seed=1)
    plain, data = copy.deepcopy(module), list(blobs().values())
    expected = plain(*data)
    wanted = gradients(plain, expected)
    assert len(scaled_pairs(module)) == 1
    outputs = TrainingForward(module)(data)
    assert torch.allclose(outputs["loss"], expected["loss"], rtol=1e-6)
    for one, two in zip(gradients(module, outputs), wanted, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-6)
    for one, two in zip(module.buffers(), plain.buffers(), strict=True):
        assert torch.allclose(one, two)
    module.eval(), plain.eval()
    assert torch.equal(TrainingForward(module)(data)["loss"], plain(*data)["loss"])


@pytest.mark.parametrize(
    "net",
    [
        text(between='layer { name: "more" type: "Power" bottom: "bn" top: "more" }'),
        text(batch_norm="batch_norm_param { use_global_stats: true }"),
        text(scale="axis: 0 num_axes: 2"),
        text(scale="axis: 2"),
        text(
            "conv",
            "conv",
            between='layer { name: "bias" type: "Bias" bottom: "conv" top: "conv" }',
        ),
    ],
    ids=["read twice", "statistics fixed", "of items", "of places", "a layer between"],
)
def test_what_stays_two_layers(load_text, net: str) -> None:
    module = netspec.compile(load_text(net, phase="TRAIN"), seed=1)
    assert not scaled_pairs(module)


def test_an_output_between_is_computed() -> None:
    net = netspec.loads(text(), phase="TRAIN")
    module = netspec.compile(net, outputs=["bn", "loss"], seed=1)
    data = list(blobs().values())
    assert torch.equal(TrainingForward(module)(data)["bn"], copy.deepcopy(module)(*data)["bn"])


def test_what_stays_for_the_gradient_is_less(load_text) -> None:
    module = netspec.compile(load_text(text(), phase="TRAIN"), seed=1)

    def kept(forward) -> int:
        found: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            forward(list(blobs().values()))
        return sum(found.values())

    top = 4 * 4 * 6 * 3 * 3  # bytes
    less = kept(TrainingForward(module, exact=True)) - kept(TrainingForward(module))
    assert less == pytest.approx(top, abs=200)  # and some statistics


def test_an_error_names_its_layer() -> None:
    module = netspec.compile(netspec.loads(text(), phase="TRAIN"), seed=1)
    with pytest.raises(RuntimeError) as error:
        TrainingForward(module)([torch.zeros(4, 2, 5, 5), blobs()["label"]])
    assert any("layer 'conv'" in note for note in error.value.__notes__)


POOLED = """
name: "Net"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 3 dim: 9 dim: 9 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "TOP" relu_param { RELU } }
layer { name: "pool" type: "Pooling" bottom: "TOP" top: "pool"
  pooling_param { kernel_size: 3 stride: 2 POOLING } }
MORE
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def pooled_text(top: str = "conv", relu: str = "", pooling: str = "", more: str = "") -> str:
    made = POOLED
    for word, part in {"TOP": top, "RELU": relu, "POOLING": pooling, "MORE": more}.items():
        made = made.replace(word, part)
    return made


def pooled_blobs() -> dict[str, torch.Tensor]:
    """Images with rows of zeros and of one value, whose maxima are each of several."""
    data = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(5))
    data[0] = 0
    data[1, :, 3:] = -1
    return {"data": data, "label": blobs()["label"]}


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("pooling", ["", "pad: 1"])
@pytest.mark.parametrize("top", ["conv", "relu"])
def test_relu_behind_max_pooling_changes_no_bit(load_text, top: str, pooling: str, last) -> None:
    module = netspec.compile(load_text(pooled_text(top, pooling=pooling), phase="TRAIN"), seed=1)
    if last:
        lay_channels_last(module, "cpu")
    plain, data = copy.deepcopy(module), list(pooled_blobs().values())
    expected = plain(*data)
    wanted = gradients(plain, expected)
    assert len(pooled_relus(module)) == 1
    outputs = TrainingForward(module)(data)
    assert torch.equal(outputs["loss"], expected["loss"])
    for one, two in zip(gradients(module, outputs), wanted, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    "net",
    [
        pooled_text(relu="negative_slope: 0.1"),
        pooled_text(pooling="pool: AVE"),
        pooled_text(more='layer { name: "more" type: "Power" bottom: "conv" top: "more" }'),
        pooled_text(more='layer { name: "more" type: "Silence" bottom: "conv" }'),
    ],
    ids=["leaky", "average", "read twice", "silenced"],
)
def test_which_relus_stay_before_the_pooling(load_text, net: str) -> None:
    module = netspec.compile(load_text(net, phase="TRAIN"), seed=1)
    data = list(pooled_blobs().values())
    expected = copy.deepcopy(module)(*data)["loss"]
    assert torch.equal(TrainingForward(module)(data)["loss"], expected)
    assert len(pooled_relus(module)) == ("Silence" in net)  # which reads nothing


def test_a_relu_that_is_watched_runs_before_the_pooling() -> None:
    module = netspec.compile(netspec.loads(pooled_text(), phase="TRAIN"), seed=1)
    shapes = []
    module.relu.register_forward_hook(lambda layer, inputs, top: shapes.append(tuple(top.shape)))
    TrainingForward(module)(list(pooled_blobs().values()))
    assert shapes == [(4, 6, 7, 7)]


@pytest.mark.parametrize("last", ["ip", "Flatten", "Reshape"])
@pytest.mark.parametrize(
    ("kind", "watched"), [("BatchNorm", "more"), ("Eltwise", "more"), ("Pooling", "conv")]
)
def test_a_gradient_comes_back_as_its_blob_lies(kind: str, watched: str, last: str) -> None:
    """What makes rows of planes gives it back channels first."""
    bottoms = 'bottom: "conv"' + ' bottom: "conv"' * (kind == "Eltwise")
    pooling = "pooling_param { kernel_size: 2 }" * (kind == "Pooling")
    more = f'layer {{ name: "more" type: "{kind}" {bottoms} top: "more" {pooling} }}'
    if last != "ip":
        shape = "reshape_param { shape { dim: 0 dim: -1 } }" * (last == "Reshape")
        more += f'layer {{ name: "rows" type: "{last}" bottom: "more" top: "rows" {shape} }}'
    text = POOLED[: POOLED.index('layer { name: "relu"')] + more
    end = POOLED[POOLED.index('layer { name: "ip"') :]
    text += end.replace('bottom: "pool"', f'bottom: "{"more" if last == "ip" else "rows"}"')
    module = netspec.compile(netspec.loads(text, phase="TRAIN"), seed=1)
    plain, data = copy.deepcopy(module), list(pooled_blobs().values())
    lay_channels_last(module, "cpu")
    found = []

    def look(layer: torch.nn.Module, inputs: object, top: torch.Tensor) -> None:
        top.register_hook(
            lambda grad: found.append(grad.is_contiguous(memory_format=torch.channels_last))
        )

    wanted = gradients(plain, plain(*data))
    module.get_submodule(watched).register_forward_hook(look)
    for one, two in zip(gradients(module, TrainingForward(module)(data)), wanted, strict=True):
        torch.testing.assert_close(one, two)
    assert found == [True]
