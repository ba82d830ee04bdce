"""Generated nets of any number of layers, each of a kind that strains something else."""

from __future__ import annotations

from collections.abc import Callable

_RELU = 'layer {{ name: "relu{i}" type: "ReLU" bottom: "{blob}" top: "{blob}" }}\n'
_CONVOLUTION = """layer {{ name: "conv{i}" type: "Convolution" bottom: "{before}" top: "conv{i}"
  convolution_param {{ num_output: {out} kernel_size: {kernel}
    weight_filler {{ type: "msra" }} }} }}
"""
_BLOCK = """
layer {{ name: "conv{i}" type: "Convolution" bottom: "{before}" top: "conv{i}"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{ num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }}
    bias_filler {{ type: "constant" value: 0.1 }} }} }}
layer {{ name: "bn{i}" type: "BatchNorm" bottom: "conv{i}" top: "conv{i}"
  batch_norm_param {{ use_global_stats: true }} }}
layer {{ name: "scale{i}" type: "Scale" bottom: "conv{i}" top: "conv{i}"
  scale_param {{ bias_term: true }} }}
layer {{ name: "relu{i}" type: "ReLU" bottom: "conv{i}" top: "conv{i}" }}
layer {{ name: "sum{i}" type: "Eltwise" bottom: "{before}" bottom: "conv{i}" top: "sum{i}"
  eltwise_param {{ operation: SUM }} }}
"""
_SHARED = """layer {{ name: "ip{i}" type: "InnerProduct" bottom: "{before}" top: "ip{i}"
  param {{ name: "w{group}" }} param {{ name: "b{group}" }}
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
"""
_LOSS = """layer {{ name: "ip{i}" type: "InnerProduct" bottom: "{before}" top: "ip{i}"
  loss_weight: 0.001
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "tanh{i}" type: "TanH" bottom: "ip{i}" top: "tanh{i}" }}
layer {{ name: "loss{i}" type: "Reduction" bottom: "tanh{i}" top: "loss{i}" loss_weight: 0.1
  reduction_param {{ operation: SUMSQ }} }}
"""
_OBJECTIVE = """layer {{ name: "objective" type: "Reduction" bottom: "{before}" top: "objective"
  loss_weight: 1 }}
"""
BRANCHES = 16  # of a block that is like Inception's


def _input(name: str, *dims: int) -> str:
    shape = " ".join(f"dim: {dim}" for dim in dims)
    return (
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {shape} }} }} }}\n"
    )


def chain(layers: int) -> str:
    """Convolutions, each with a ReLU in place."""
    text, before = [_input("data", 1, 2, 4, 4)], "data"
    for i in range(layers // 2):
        text.append(_CONVOLUTION.format(i=i, before=before, out=2, kernel=1))
        before = f"conv{i}"
        text.append(_RELU.format(i=i, blob=before))
    return "".join([*text, _OBJECTIVE.format(before=before)])


def residual(layers: int) -> str:
    """ResNet's blocks, with BatchNorm, Scale and ReLU in place."""
    text, before = [_input("data", 1, 8, 8, 8)], "data"
    for i in range(layers // 5):
        text.append(_BLOCK.format(i=i, before=before))
        before = f"sum{i}"
    return "".join([*text, _OBJECTIVE.format(before=before)])


def inception(layers: int) -> str:
    """Blocks of many branches, which a Concat joins."""
    text, before = [_input("data", 1, BRANCHES, 4, 4)], "data"
    for block in range(layers // (2 * BRANCHES + 1)):
        names = [f"{block}/{k}" for k in range(BRANCHES)]
        for name in names:
            text.append(_CONVOLUTION.format(i=name, before=before, out=1, kernel=1))
            text.append(_RELU.format(i=name, blob=f"conv{name}"))
        bottoms = " ".join(f'bottom: "conv{name}"' for name in names)
        before = f"concat{block}"
        text.append(f'layer {{ name: "{before}" type: "Concat" {bottoms} top: "{before}" }}\n')
    return "".join([*text, _OBJECTIVE.format(before=before)])


def fan_out(layers: int) -> str:
    """One blob that thousands of layers read, each of which makes an output of the net."""
    text = [_input("data", 1, 2, 4, 4), _CONVOLUTION.format(i="", before="data", out=2, kernel=1)]
    for i in range(layers - 2):
        text.append(
            f'layer {{ name: "out{i}" type: "TanH" bottom: "conv" top: "out{i}" '
            "loss_weight: 0.001 }\n"
        )
    return "".join(text)


def fan_in(layers: int) -> str:
    """Thousands of blobs that one Concat joins."""
    text, names = [_input("data", 1, 2, 4, 4)], [f"conv{i}" for i in range(layers - 2)]
    for i in range(len(names)):
        text.append(_CONVOLUTION.format(i=i, before="data", out=1, kernel=1))
    bottoms = " ".join(f'bottom: "{name}"' for name in names)
    text.append(f'layer {{ name: "all" type: "Concat" {bottoms} top: "all" }}\n')
    return "".join([*text, _OBJECTIVE.format(before="all")])


def in_place(layers: int) -> str:
    """Thousands of layers in place on one blob."""
    text = [_input("data", 1, 2, 4, 4), _CONVOLUTION.format(i="", before="data", out=2, kernel=1)]
    types = ("ReLU", "Scale", "Power", "Dropout")
    for i in range(layers - 2):
        form = types[i % len(types)]
        text.append(f'layer {{ name: "{form}{i}" type: "{form}" bottom: "conv" top: "conv" }}\n')
    return "".join([*text, _OBJECTIVE.format(before="conv")])


def shared(layers: int) -> str:
    """Layers that have the params of the first one or, every other one, of one far above."""
    text, before = [_input("data", 2, 4)], "data"
    for i in range(layers - 1):
        group = i % (layers // 4 * 2 + 1) if i % 2 else 0
        text.append(_SHARED.format(i=i, before=before, group=group))
        before = f"ip{i}"
    return "".join([*text, _OBJECTIVE.format(before=before)])


def losses(layers: int) -> str:
    """A deep net with thousands of losses; some are of blobs that other layers read."""
    text, before = [_input("data", 2, 4)], "data"
    for i in range(layers // 3):
        text.append(_LOSS.format(i=i, before=before))
        before = f"tanh{i}"
    return "".join(text)


KINDS: dict[str, Callable[[int], str]] = {
    made.__name__: made
    for made in (chain, residual, inception, fan_out, fan_in, in_place, shared, losses)
}
