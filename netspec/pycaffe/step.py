"""The layers of a net as Caffe runs them: one after the other, on blobs that stay.

Each reads what stands in its bottoms and writes to its tops; backward it reads its tops' diffs and
writes its bottoms'. Source: Caffe's Layer::Forward, Backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netspec.graph import Layer as GraphLayer
from netspec.graph import Param as GraphParam
from netspec.pycaffe.blob import Blob, BlobVec


class Step:
    """A layer of a running net.

    Args:
        propagates: for each bottom whether the backward pass writes its diff.
        weights: the loss weight of each top.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        bottoms: Sequence[tuple[str, Blob]],
        tops: Sequence[tuple[str, Blob]],
        weights: Sequence[float] = (),
    ) -> None:
        self.name, self.type = name, kind
        self.bottom_names, self.top_names = [n for n, _ in bottoms], [n for n, _ in tops]
        self.bottoms, self.tops = [b for _, b in bottoms], [b for _, b in tops]
        self.weights = list(weights) or [0.0] * len(self.tops)
        self.blobs = BlobVec()
        self.params: list[GraphParam] = []  # of the blobs
        self.needs_backward = False
        self.propagates = [False] * len(self.bottoms)

    def __repr__(self) -> str:
        return f"<{self.type} layer '{self.name}'>"

    @property
    def shown(self) -> Any:
        """What a script finds in `net.layers`."""
        return self

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Nothing: a layer of a net is set up when the net is made."""

    def reshape(self, *blobs: object) -> None:
        """Gives the tops the sizes that follow from the bottoms'."""

    def forward(self) -> None:
        """Computes the tops."""

    def backward(self, keeps: bool = True) -> None:
        """Computes the bottoms' diffs and adds to those of the params.

        Args: keeps: let the pass be run again.
        """

    def to(self, device: torch.device) -> None:
        """Moves what is the layer's own to another device."""

    def fill_loss_weights(self) -> None:
        """Puts the weights where the backward pass begins. Source: Layer::SetLossWeights."""
        for top, weight in zip(self.tops, self.weights, strict=True):
            if weight:
                top.diff_memory.fill(top.sizes, weight)

    def loss(self) -> Tensor | None:
        """What the tops count in the objective; None where none has a weight."""
        total: Tensor | None = None
        for top, weight in zip(self.tops, self.weights, strict=True):
            if weight:
                term = (top.tensor() * top.diff_tensor()).sum()
                total = term if total is None else total + term
        return total


class InputStep(Step):
    """A layer whose tops are what a script writes into them."""


class SplitStep(Step):
    """What Caffe inserts where several layers read a blob: one top for each, in one memory.

    Source: Caffe's SplitLayer.
    """

    def reshape(self, *blobs: object) -> None:
        for top in self.tops:
            top.reshape(*self.bottoms[0].sizes)

    def forward(self) -> None:
        self.reshape()

    def backward(self, keeps: bool = True) -> None:
        if not self.needs_backward:
            return
        total = self.tops[0].diff_tensor()
        for top in self.tops[1:]:
            if not top.diff_memory.is_empty:
                total = total + top.diff_tensor()
        is_own = total is not self.tops[0].diff_tensor()
        self.bottoms[0].hold_diff(total if is_own else total.clone())


class ModuleStep(Step):
    """A layer that a torch module computes.

    Where the backward pass goes through it, the forward pass records what autograd needs.
    """

    def __init__(self, *args: Any, layer: GraphLayer, run: Callable[..., Any], **more: Any) -> None:
        super().__init__(*args, **more)
        self.layer, self.run = layer, run
        self.in_place = not {id(b) for b in self.tops}.isdisjoint(id(b) for b in self.bottoms)
        self._shapes = [bottom.sizes for bottom in self.bottoms]
        read = [bottom.data_memory for bottom in self.bottoms]
        self._written = [t.data_memory for t in self.tops if t.data_memory not in read]
        # called where the bottoms have other shapes than the layer was made for
        self.make_again: Callable[[Sequence[tuple[int, ...]]], None] | None = None
        self._recorded: tuple[list[Tensor], list[Tensor]] | None = None
        self.weights_read: list[nn.Parameter] = []
        self._seen_weights: list[tuple[int, int]] = []  # when the pass was recorded

    def reshape(self, *blobs: object) -> None:
        shapes = [bottom.sizes for bottom in self.bottoms]
        if shapes == self._shapes or self.make_again is None:
            return
        self.make_again(shapes)
        self._shapes, self._recorded = shapes, None

    def forward(self) -> None:
        self.reshape()
        self._recorded = None
        for memory in self._written:
            memory.release()
        if self.needs_backward:
            results = self._record()
        else:
            results = self._results([bottom.tensor() for bottom in self.bottoms])
        self._hold(results)

    def _hold(self, results: list[Tensor]) -> None:
        places = {b.tensor().untyped_storage().data_ptr(): b for b in self.bottoms}
        for top, result in zip(self.tops, results, strict=True):
            source = places.get(result.untyped_storage().data_ptr())
            if source is not None and source.data_memory is not top.data_memory:
                result = result.detach().clone(memory_format=torch.contiguous_format)
            top.hold(result)

    def _results(self, bottoms: list[Tensor]) -> list[Tensor]:
        found = self.run(*bottoms)
        if not self.tops:
            return []
        return [found] if isinstance(found, Tensor) else list(found)

    def _record(self) -> list[Tensor]:
        leaves = []
        for bottom, propagates in zip(self.bottoms, self.propagates, strict=True):
            leaf = bottom.tensor()
            if self.in_place and bottom.data_memory.is_seen:
                leaf = leaf.clone()  # its place is written over before the backward pass reads it
            elif propagates:
                leaf = leaf.detach()
            leaves.append(leaf.requires_grad_() if propagates else leaf)
        with torch.enable_grad():
            results = self._results(leaves)
        self._recorded = leaves, results
        self._seen_weights = self._weights_now()
        return results

    def _weights_now(self) -> list[tuple[int, int]]:
        """What changes when the weights do, other than by a script's arrays."""
        return [(weight._version, weight.data_ptr()) for weight in self.weights_read]

    def _is_outdated(self, leaves: list[Tensor]) -> bool:
        """Whether weights or bottoms have been replaced since: Caffe reads those that stand there.

        Layers without weights go by what they have kept, masks and the places of maxima.
        """
        if not self.weights_read:
            return False
        return self._seen_weights != self._weights_now() or (
            not self.in_place
            and any(
                leaf.data_ptr() != bottom.tensor().data_ptr()
                for leaf, bottom in zip(leaves, self.bottoms, strict=True)
            )
        )

    def backward(self, keeps: bool = True) -> None:
        if not self.needs_backward:
            return
        if self._recorded is None or self._is_outdated(self._recorded[0]):
            self._record()  # it takes the blobs as they are
        assert self._recorded is not None
        leaves, results = self._recorded
        pairs = [
            (result, top.diff_tensor())
            for result, top in zip(results, self.tops, strict=True)
            if result.requires_grad
        ]
        read = [top.diff_memory for top in self.tops]
        for bottom, propagates in zip(self.bottoms, self.propagates, strict=True):
            if propagates and bottom.diff_memory not in read:
                bottom.diff_memory.release()
        if pairs:
            tops, diffs = zip(*pairs, strict=True)
            torch.autograd.backward(tops, diffs, retain_graph=keeps)
        for bottom, leaf, propagates in zip(self.bottoms, leaves, self.propagates, strict=True):
            if propagates:
                bottom.hold_diff(leaf.grad)
                leaf.grad = None
        if not keeps:
            self._recorded = None
