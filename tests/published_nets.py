"""Nets whose costs are published, written as prototxt from the tables of their papers.

Each function gives a net's text, with a loss on a label where `train`.
"""

from __future__ import annotations

SIDE = 224
# Szegedy et al., Going Deeper with Convolutions, table 1: for each module the filters of 1×1,
# 3×3 reduce, 3×3, 5×5 reduce, 5×5 and pool proj.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, section 3.5:
# outputs, kernel, stride, pad and group of each convolution.
ALEXNET_CONVOLUTIONS = (
    (96, 11, 4, 0, 1),
    (256, 5, 1, 2, 2),
    (384, 3, 1, 1, 1),
    (384, 3, 1, 1, 2),
    (256, 3, 1, 1, 2),
)
# Simonyan and Zisserman, Very Deep Convolutional Networks, table 1, column D: the filters of each
# block's 3×3 convolutions.
VGG_BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
# He et al., Deep Residual Learning, table 1, 50-layer: blocks and filters of a stage.
RESNET_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))


class Text:
    """A net's layers one below the other; each method adds some and gives the name of the top."""

    def __init__(self, name: str, batch: int, side: int, train: bool) -> None:
        shape = f"dim: {batch} dim: 3 dim: {side} dim: {side}"
        self.lines = [f'name: "{name}"', self._input("data", shape)]
        if train:
            self.lines.append(self._input("label", f"dim: {batch}"))
        self.train = train

    def __str__(self) -> str:
        return "\n".join([*self.lines, ""])

    def _input(self, name: str, shape: str) -> str:
        return (
            f'layer {{ name: "{name}" type: "Input" top: "{name}" '
            f"input_param {{ shape {{ {shape} }} }} }}"
        )

    def layer(self, name: str, kind: str, bottoms: list[str], settings: str = "") -> str:
        return self.add(name, kind, bottoms, name, settings)

    def add(self, name: str, kind: str, bottoms: list[str], top: str, settings: str = "") -> str:
        joined = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.lines.append(
            f'layer {{ name: "{name}" type: "{kind}" {joined} top: "{top}" {settings} }}'
        )
        return top

    def convolve(
        self, name: str, bottom: str, outputs: int, kernel: int, stride: int = 1, bias: bool = True
    ) -> str:
        """A convolution that keeps the size, but for its stride."""
        return self.layer(
            name,
            "Convolution",
            [bottom],
            f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} stride: {stride} "
            f"pad: {kernel // 2} bias_term: {'true' if bias else 'false'} }}",
        )

    def relu(self, name: str, bottom: str) -> str:
        return self.add(name, "ReLU", [bottom], bottom)

    def pool(self, name: str, bottom: str, kernel: int, stride: int, more: str = "") -> str:
        settings = f"pooling_param {{ kernel_size: {kernel} stride: {stride} {more} }}"
        return self.layer(name, "Pooling", [bottom], settings)

    def dense(self, name: str, bottom: str, outputs: int) -> str:
        settings = f"inner_product_param {{ num_output: {outputs} }}"
        return self.layer(name, "InnerProduct", [bottom], settings)

    def drop(self, name: str, bottom: str, ratio: float) -> str:
        return self.add(
            name, "Dropout", [bottom], bottom, f"dropout_param {{ dropout_ratio: {ratio} }}"
        )

    def end(self, bottom: str, name: str = "prob", weight: float = 1) -> None:
        """The softmax, or its loss."""
        if self.train:
            settings = f"loss_weight: {weight}"
            self.layer(name, "SoftmaxWithLoss", [bottom, "label"], settings)
        else:
            self.layer(name, "Softmax", [bottom])


def caffenet(batch: int = 1, train: bool = False) -> str:
    """AlexNet with each pooling before its normalisation, as Caffe's reference model has it."""
    net = Text("CaffeNet", batch, 227, train)
    top = "data"
    for i, (outputs, kernel, stride, pad, group) in enumerate(ALEXNET_CONVOLUTIONS, start=1):
        settings = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad}"
        top = net.layer(
            f"conv{i}", "Convolution", [top], f"convolution_param {{ {settings} group: {group} }}"
        )
        net.relu(f"relu{i}", top)
        if i in (1, 2, 5):
            top = net.pool(f"pool{i}", top, 3, 2)
        if i in (1, 2):
            top = net.layer(f"norm{i}", "LRN", [top], "lrn_param { local_size: 5 }")
    for i in (6, 7):
        top = net.drop(f"drop{i}", net.relu(f"relu{i}", net.dense(f"fc{i}", top, 4096)), 0.5)
    net.end(net.dense("fc8", top, 1000))
    return str(net)


def vgg16(batch: int = 1, side: int = SIDE, train: bool = False) -> str:
    net, top = Text("VGG-16", batch, side, train), "data"
    for i, block in enumerate(VGG_BLOCKS, start=1):
        for j, outputs in enumerate(block, start=1):
            top = net.relu(f"relu{i}_{j}", net.convolve(f"conv{i}_{j}", top, outputs, 3))
        top = net.pool(f"pool{i}", top, 2, 2)
    for i in (6, 7):
        top = net.drop(f"drop{i}", net.relu(f"relu{i}", net.dense(f"fc{i}", top, 4096)), 0.5)
    net.end(net.dense("fc8", top, 1000))
    return str(net)


def googlenet(batch: int = 1, side: int = SIDE, train: bool = False) -> str:
    """With its two auxiliary classifiers where it trains."""
    net = Text("GoogLeNet", batch, side, train)
    conv = net.convolve("conv1/7x7_s2", "data", 64, 7, 2)
    top = net.pool("pool1/3x3_s2", net.relu("conv1/relu", conv), 3, 2)
    top = net.layer("pool1/norm1", "LRN", [top], "lrn_param { local_size: 5 }")
    top = net.relu("conv2/relu_reduce", net.convolve("conv2/3x3_reduce", top, 64, 1))
    top = net.relu("conv2/relu", net.convolve("conv2/3x3", top, 192, 3))
    top = net.layer("conv2/norm2", "LRN", [top], "lrn_param { local_size: 5 }")
    top = net.pool("pool2/3x3_s2", top, 3, 2)
    for name, filters in INCEPTIONS.items():
        top = _inception(net, f"inception_{name}", top, filters)
        if name in ("3b", "4e"):
            top = net.pool(f"pool{name[0]}/3x3_s2", top, 3, 2)
        if train and name in ("4a", "4d"):
            _auxiliary(net, "loss1" if name == "4a" else "loss2", top)
    top = net.pool("pool5/7x7_s1", top, side // 32, 1, "pool: AVE")
    net.end(net.dense("loss3/classifier", net.drop("pool5/drop", top, 0.4), 1000), "loss3/loss3")
    return str(net)


def _inception(net: Text, name: str, bottom: str, filters: tuple[int, ...]) -> str:
    one, three_reduce, three, five_reduce, five, proj = filters

    def branch(part: str, bottom: str, outputs: int, kernel: int) -> str:
        conv = net.convolve(f"{name}/{part}", bottom, outputs, kernel)
        return net.relu(f"{name}/relu_{part}", conv)

    pooled = net.pool(f"{name}/pool", bottom, 3, 1, "pad: 1")
    branches = [
        branch("1x1", bottom, one, 1),
        branch("3x3", branch("3x3_reduce", bottom, three_reduce, 1), three, 3),
        branch("5x5", branch("5x5_reduce", bottom, five_reduce, 1), five, 5),
        branch("pool_proj", pooled, proj, 1),
    ]
    return net.layer(f"{name}/output", "Concat", branches)


def _auxiliary(net: Text, name: str, bottom: str) -> None:
    top = net.pool(f"{name}/ave_pool", bottom, 5, 3, "pool: AVE")
    top = net.relu(f"{name}/relu_conv", net.convolve(f"{name}/conv", top, 128, 1))
    top = net.relu(f"{name}/relu_fc", net.dense(f"{name}/fc", top, 1024))
    net.end(net.dense(f"{name}/classifier", net.drop(f"{name}/drop", top, 0.7), 1000), name, 0.3)


def resnet50(batch: int = 1, side: int = SIDE, train: bool = False) -> str:
    """With the bias of conv1 that the authors' file has, and their names."""
    net = Text("ResNet-50", batch, side, train)
    top = _normalised(net, "conv1", "_conv1", "data", (64, 7, 2), bias=True)
    top = net.pool("pool1", net.relu("conv1_relu", top), 3, 2)
    for i, (blocks, filters) in enumerate(RESNET_STAGES, start=2):
        for block in "abcdef"[:blocks]:
            name, stride = f"{i}{block}", 2 if block == "a" and i > 2 else 1
            left = top
            if block == "a":
                left = _normalised(
                    net, f"res{name}_branch1", f"{name}_branch1", top, (4 * filters, 1, stride)
                )
            for part, kernel, outputs in (("2a", 1, filters), ("2b", 3, filters)):
                conv, step = f"res{name}_branch{part}", stride if part == "2a" else 1
                top = _normalised(net, conv, f"{name}_branch{part}", top, (outputs, kernel, step))
                net.relu(f"{conv}_relu", top)
            conv = f"res{name}_branch2c"
            right = _normalised(net, conv, f"{name}_branch2c", top, (4 * filters, 1, 1))
            top = net.layer(f"res{name}", "Eltwise", [left, right])
            net.relu(f"res{name}_relu", top)
    top = net.pool("pool5", top, side // 32, 1, "pool: AVE")
    net.end(net.dense("fc1000", top, 1000))
    return str(net)


def _normalised(
    net: Text,
    conv: str,
    suffix: str,
    bottom: str,
    shape: tuple[int, int, int],
    bias: bool = False,
) -> str:
    """A convolution, BatchNorm and Scale. Args: shape: outputs, kernel, stride."""
    top = net.convolve(conv, bottom, *shape, bias=bias)
    net.add(f"bn{suffix}", "BatchNorm", [top], top)
    net.add(f"scale{suffix}", "Scale", [top], top, "scale_param { bias_term: true }")
    return top
