"""ResNet's text as the paper's table 1 and the names of its authors' prototxt have it."""

from __future__ import annotations

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet_text(depth: int) -> str:
    """A deploy net of 224×224 images and 1000 classes."""
    lines = [
        f'name: "ResNet-{depth}"',
        'layer { name: "data" type: "Input" top: "data"'
        " input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }",
        *convolution("conv1", "bn_conv1", "scale_conv1", "data", "conv1", 64, 7, 2, 3),
        relu("conv1_relu", "conv1"),
        'layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"'
        " pooling_param { pool: MAX kernel_size: 3 stride: 2 } }",
    ]
    bottom = "pool1"
    for stage, count in enumerate(DEPTHS[depth], 2):
        for i in range(count):
            letters = [*"abcdefgh"] if count <= 8 else ["a", *(f"b{n}" for n in range(1, count))]
            lines += block(f"{stage}{letters[i]}", bottom, stage, is_first=i == 0)
            bottom = f"res{stage}{letters[i]}"
    lines += [
        f'layer {{ name: "pool5" type: "Pooling" bottom: "{bottom}" top: "pool5"'
        " pooling_param { pool: AVE kernel_size: 7 stride: 1 } }",
        'layer { name: "fc1000" type: "InnerProduct" bottom: "pool5" top: "fc1000"'
        " inner_product_param { num_output: 1000 } }",
        'layer { name: "prob" type: "Softmax" bottom: "fc1000" top: "prob" }',
    ]
    return "\n".join(lines) + "\n"


def block(name: str, bottom: str, stage: int, is_first: bool) -> list[str]:
    """A bottleneck: 1×1, 3×3, 1×1, and a projection where the shape changes."""
    inner, stride = 64 * 2 ** (stage - 2), 2 if is_first and stage > 2 else 1
    lines, shortcut = [], bottom
    if is_first:
        shortcut = f"res{name}_branch1"
        lines += branch(name, "1", bottom, 4 * inner, 1, stride, 0)
    for letter, kernel, outputs, step in (("a", 1, inner, stride), ("b", 3, inner, 1)):
        lines += branch(name, f"2{letter}", bottom, outputs, kernel, step, kernel // 2)
        bottom = f"res{name}_branch2{letter}"
        lines.append(relu(f"{bottom}_relu", bottom))
    lines += branch(name, "2c", bottom, 4 * inner, 1, 1, 0)
    lines.append(
        f'layer {{ name: "res{name}" type: "Eltwise" bottom: "{shortcut}"'
        f' bottom: "res{name}_branch2c" top: "res{name}" }}'
    )
    return [*lines, relu(f"res{name}_relu", f"res{name}")]


def branch(
    name: str, way: str, bottom: str, outputs: int, kernel: int, stride: int, pad: int
) -> list[str]:
    conv = f"res{name}_branch{way}"
    norm, scale = f"bn{name}_branch{way}", f"scale{name}_branch{way}"
    return convolution(conv, norm, scale, bottom, conv, outputs, kernel, stride, pad)


def convolution(
    name: str, norm: str, scale: str, bottom: str, top: str, outputs: int, kernel: int,
    stride: int, pad: int,
) -> list[str]:  # fmt: skip
    bias = "true" if name == "conv1" else "false"
    return [
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{top}"'
        f" convolution_param {{ num_output: {outputs} kernel_size: {kernel} stride: {stride}"
        f" pad: {pad} bias_term: {bias} }} }}",
        f'layer {{ name: "{norm}" type: "BatchNorm" bottom: "{top}" top: "{top}" }}',
        f'layer {{ name: "{scale}" type: "Scale" bottom: "{top}" top: "{top}"'
        " scale_param { bias_term: true } }",
    ]


def relu(name: str, blob: str) -> str:
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{blob}" top: "{blob}" }}'
