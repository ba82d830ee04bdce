"""A net's test on ten crops of each record, its scores averaged before they are compared.

The net computes each crop as a batch of its own. What layers with labels read of it, and what it
puts out, is averaged; these layers then compute once. For SoftmaxWithLoss the probabilities are
averaged, as in AlexNet's paper, and their logarithms take the scores' place: their softmax is
the mean probability again, and their order is its order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from netspec.diagnostics import NetspecError
from netspec.graph import Blob, Net
from netspec.pytorch.module import NetModule
from netspec.readers.batches import reader_of
from netspec.readers.oversample import cropped_layers
from netspec.readers.ten_places import CROPS

_SMALLEST = torch.finfo(torch.float32).tiny  # the least probability that SoftmaxWithLoss knows


class TenCrops:
    """The outputs of a batch, from ten crops of each of its records.

    Raises: NetspecError where the net's data are not cropped, or nothing can be averaged.
    """

    def __init__(self, net: Net, module: NetModule) -> None:
        self._module = module
        images = {layer.top_blobs[0] for layer in cropped_layers(net)}
        self._images = {blob.name for blob in images}
        scores, axes = averaged_blobs(net, images)
        nodes = {node.name: node for node in module.graph.nodes}
        place = dict(zip(net.layers, module.about.tops, strict=True))
        self._axes = {
            nodes[place[blob.producer][blob.top_index]]: axes.get(blob) for blob in scores
        }
        self.averaged = [
            f"{'probabilities' if blob in axes else 'values'} of '{blob.name}'" for blob in scores
        ]
        self._needed = _leading_to(self._axes)
        fed = [nodes[place[blob.producer][0]] for blob in images]
        self._left_out = (self._needed & _following(module.graph, fed)) - self._axes.keys()
        self._require_whole(net)

    def __call__(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The outputs. Shapes: (10 N, C, h, w) of images, crop after crop; all else N."""
        names = self._module.input_names
        crops = [
            tensor.chunk(CROPS) if name in self._images else (tensor,) * CROPS
            for name, tensor in zip(names, inputs, strict=True)
        ]
        totals: dict[fx.Node, Tensor] = {}
        for part in zip(*crops, strict=True):
            found = _Scores(self._module, self._axes, self._needed)
            found.run(*part)
            for node, value in found.values.items():
                totals[node] = totals[node] + value if node in totals else value
        means = {node: total / CROPS for node, total in totals.items()}
        for node, axis in self._axes.items():
            if axis is not None:
                means[node] = means[node].clamp_min(_SMALLEST).log()
        last = _Metrics(self._module, means, self._left_out)
        return self._module.shown(last.run(*(part[0] for part in crops)))

    def _require_whole(self, net: Net) -> None:
        """Raises NetspecError where a layer with labels reads more than what is averaged."""
        for node in self._module.graph.nodes:
            evaluated = node not in self._left_out and node not in self._axes
            if evaluated and any(each in self._left_out for each in node.all_input_nodes):
                raise NetspecError(
                    f"the net '{net.name or net.path}' overwrites scores that are to be averaged "
                    f"over ten crops, at '{node.name}'"
                )


def averaged_blobs(net: Net, images: Collection[Blob]) -> tuple[list[Blob], dict[Blob, int]]:
    """The blobs to average, and the axis of the classes of those that are SoftmaxWithLoss's scores.

    Raises: NetspecError where there is none, or it would be the images.
    """
    labels = {
        blob
        for layer in net.layers
        if reader_of(layer) and layer.type != "DummyData"
        for blob in layer.top_blobs
        if blob not in images
    }
    seen, labelled = set(images), set(labels)
    scores: dict[Blob, None] = {}
    axes: dict[Blob, int] = {}
    for layer in net.layers:
        bottoms = layer.bottom_blobs
        if labelled.intersection(bottoms):
            own = [blob for blob in bottoms if blob in seen and blob not in labelled]
            scores.update(dict.fromkeys(own))
            if layer.type == "SoftmaxWithLoss" and own and own[0] is bottoms[0]:
                axes[own[0]] = layer.message.softmax_param.axis
            labelled.update(layer.top_blobs)
        if seen.intersection(bottoms):
            seen.update(layer.top_blobs)
    ends = (net.blob(name) for name in net.outputs)
    scores.update(dict.fromkeys(blob for blob in ends if blob in seen and blob not in labelled))
    read = next((blob for blob in scores if blob in images), None)
    if read is not None or not scores:
        what = f"the images '{read.name}' themselves" if read else "nothing of the images"
        raise NetspecError(
            f"ten crops are averaged where labels or outputs are, but {what} would be",
            None,
            "a test net has layers such as Accuracy and SoftmaxWithLoss",
        )
    return list(scores), axes


def _leading_to(nodes: Collection[fx.Node]) -> set[fx.Node]:
    found, waiting = set(nodes), list(nodes)
    while waiting:
        new = [node for node in waiting.pop().all_input_nodes if node not in found]
        found.update(new)
        waiting += new
    return found


def _following(graph: fx.Graph, first: Collection[fx.Node]) -> set[fx.Node]:
    found = set(first)
    for node in graph.nodes:
        if found.intersection(node.all_input_nodes):
            found.add(node)
    return found


class _Scores(fx.Interpreter):
    """Computes what is averaged, of one crop: values, or probabilities along an axis."""

    def __init__(
        self, module: NetModule, axes: dict[fx.Node, int | None], needed: set[fx.Node]
    ) -> None:
        super().__init__(module)
        self.axes, self.needed = axes, needed
        self.values: dict[fx.Node, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.op != "placeholder" and n not in self.needed:
            return None
        value = super().run_node(n)
        if n in self.axes:
            axis = self.axes[n]
            # a copy: a later layer may write over it
            self.values[n] = value.clone() if axis is None else value.softmax(axis)
        return value


class _Metrics(fx.Interpreter):
    """Computes the rest of the net from the averages."""

    def __init__(
        self, module: NetModule, means: dict[fx.Node, Tensor], left_out: set[fx.Node]
    ) -> None:
        super().__init__(module)
        self.means, self.left_out = means, left_out

    def run_node(self, n: fx.Node) -> Any:
        if n in self.means:
            return self.means[n].clone()
        if n.op != "placeholder" and n in self.left_out:
            return None
        return super().run_node(n)
