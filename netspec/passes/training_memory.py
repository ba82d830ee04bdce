"""The largest memory that a training step takes at one time, followed layer by layer.

What PyTorch does: a value lives until the last that reads it, what a gradient needs until that is
computed, a gradient until the layer below has used it.
"""

from __future__ import annotations

from collections.abc import Iterable

from netspec.graph import Blob, Layer, Net
from netspec.layers import find_spec, is_source
from netspec.layers.kept import ARRANGED, NOTHING, Kept
from netspec.layers.spec import Spec
from netspec.passes.channels_last import blobs_last
from netspec.passes.plan_backward import BackwardPlan, plan_backward
from netspec.passes.pooled_relu import pooled_relu
from netspec.passes.scaled_batch_norm import scaled_batch_norm

# a Scale that is computed with the BatchNorm before it
_SCALED = Kept(top_is_free=True, same_gradient=True)


class _Memory:
    """Some bytes, and how many hold them."""

    __slots__ = ("bytes", "holders")

    def __init__(self, size: int) -> None:
        self.bytes, self.holders = size, 0


class TrainingMemory:
    """A training step of a net.

    Args:
        value_bytes: of a value.
        constant: bytes that are there all the time: params, their history, the data.

    Attributes:
        kept: the most that stands from the forward pass for the backward one, in bytes.
        peak: the most at one time of the forward and the backward pass.
        gradients: of the params, and `gradients_of` each layer's.
        memories: of each blob; `kept_of` each layer's that stay for its gradient.
    """

    def __init__(self, net: Net, value_bytes: int, constant: int) -> None:
        self.net, self.value_bytes, self.live = net, value_bytes, constant
        self.peak = constant
        self.gradients = 0
        self.gradients_of: dict[Layer, int] = {}
        self.plan: BackwardPlan = plan_backward(net.layers, net.force_backward)
        self.scaled, self.pooled = scaled_batch_norm(net), pooled_relu(net)
        self._before_pooling = set(self.pooled.values())
        self._last = blobs_last(net)
        self.kept_of: dict[Layer, list[_Memory]] = {}
        self.memories: dict[Blob, _Memory] = {}
        self.readers: dict[Blob, int] = {}
        self._forward()
        self.kept = sum(m.bytes for m in {m for ms in self.kept_of.values() for m in ms})
        self._backward()

    def _take(self, size: int) -> _Memory:
        memory = _Memory(size)
        self.live += size
        self.peak = max(self.peak, self.live)
        return memory

    def _hold(self, memories: Iterable[_Memory]) -> None:
        for memory in memories:
            memory.holders += 1

    def _release(self, memories: Iterable[_Memory]) -> None:
        for memory in memories:
            memory.holders -= 1
            if memory.holders == 0:
                self.live -= memory.bytes

    def _scratch(self, kept: Kept) -> None:
        self.peak = max(self.peak, self.live + kept.scratch * self.value_bytes)

    def _forward(self) -> None:
        outputs = {self.net.blob(name) for name in self.net.outputs}
        for layer in self.net.layers:
            spec = find_spec(layer.spec_name)
            kept = self._kept_by(spec, layer)
            for blob in layer.top_blobs:
                memory = self._top_memory(spec, layer, blob)
                self.memories[blob] = memory
                self.readers[blob] = len(blob.consumers) + (blob in outputs)
                self._hold([memory] * max(1, self.readers[blob]))
            self._scratch(kept)
            if self._has_gradient(layer):
                self._keep(layer, kept)
            for blob in layer.bottom_blobs:
                self._release([self.memories[blob]])
            self._release(self.memories[blob] for blob in layer.top_blobs if not self.readers[blob])

    def _top_memory(self, spec: Spec | None, layer: Layer, blob: Blob) -> _Memory:
        if is_source(layer):
            return _held_by_the_feed()
        if (
            layer.bottom_blobs
            and spec
            and (
                layer in self.scaled
                or layer in self._before_pooling
                or spec.shares_memory(layer)
                or spec.is_absent(layer)
                or self._overwrites(spec, layer)
            )
        ):
            return self.memories[layer.bottom_blobs[0]]
        return self._take(blob.count * self.value_bytes)

    def _overwrites(self, spec: Spec, layer: Layer) -> bool:
        """Whether the layer writes over its bottom, as netspec/pytorch/in_place.py decides."""
        bottom = layer.bottom_blobs[0]
        above = find_spec(bottom.producer.spec_name)
        return (
            self._kept_by(spec, layer).overwrites
            and layer.tops[0] == bottom.name
            and bottom.consumers == [(layer, 0)]
            and not bottom.producer.loss_weights[bottom.top_index]
            and bool(bottom.producer.bottom_blobs)
            and above is not None
            and self._kept_by(above, bottom.producer).top_is_free
        )

    def _has_gradient(self, layer: Layer) -> bool:
        return layer in self.plan.learning or any(
            (layer, i) in self.plan.passing for i in range(len(layer.bottom_blobs))
        )

    def _keep(self, layer: Layer, kept: Kept) -> None:
        blobs = [*layer.bottom_blobs] * kept.bottoms + [*layer.top_blobs] * kept.tops
        memories = list(dict.fromkeys(self.memories[blob] for blob in blobs))
        further = kept.values * self.value_bytes + kept.bytes
        if further:
            memories.append(self._take(further))
        self._hold(memories)
        self.kept_of[layer] = memories

    def _backward(self) -> None:
        gradients: dict[Blob, _Memory] = {}
        for layer in reversed(self.net.layers):
            if layer not in self.kept_of:
                continue
            for blob, weight in zip(layer.top_blobs, layer.loss_weights, strict=True):
                if weight and blob not in gradients:
                    self._add(gradients, blob, self._take(blob.count * self.value_bytes))
            tops = [gradients.pop(blob) for blob in layer.top_blobs if blob in gradients]
            kept = self.kept_of[layer]
            if tops and layer in self.pooled:
                tops, kept = self._rectify_back(layer, tops)
            if tops:
                self._step_back(layer, tops, gradients)
            self._release([*tops, *kept])

    def _rectify_back(
        self, pool: Layer, tops: list[_Memory]
    ) -> tuple[list[_Memory], list[_Memory]]:
        """The gradient of a ReLU behind a pooling, whose gradient and memories are returned."""
        (blob,) = pool.top_blobs
        made, top = self._take(blob.count * self.value_bytes), self.memories[blob]
        self._hold([made])
        self._release([*tops, top])
        return [made], [memory for memory in self.kept_of[pool] if memory is not top]

    def working(self, layer: Layer) -> int:
        """The bytes of a layer's backward step alone: its blobs' gradients, and its scratch."""
        kept = self._kept_by(find_spec(layer.spec_name), layer)
        tops, bottoms = sum(blob.count for blob in layer.top_blobs), 0
        if not kept.same_gradient:
            bottoms = sum(
                blob.count
                for i, blob in enumerate(layer.bottom_blobs)
                if (layer, i) in self.plan.passing
            )
        # of a ReLU behind a pooling the top is needed no more when the pooling's gradient is made
        values = max(2 * tops, bottoms) if layer in self.pooled else tops + bottoms
        return self.value_bytes * (values + kept.scratch)

    def _step_back(self, layer: Layer, tops: list[_Memory], gradients: dict[Blob, _Memory]) -> None:
        spec = find_spec(layer.spec_name)
        kept = self._kept_by(spec, layer)
        passing = [
            blob for i, blob in enumerate(layer.bottom_blobs) if (layer, i) in self.plan.passing
        ]
        for blob in passing:
            made = tops[0] if kept.same_gradient else self._take(blob.count * self.value_bytes)
            self._add(gradients, blob, made)
        if layer in self.plan.learning:
            size = self.value_bytes * sum(
                param.count
                for param in layer.params
                if param.learned and param.lr_mult and param.owner is None
            )
            self.gradients += size
            self.gradients_of[layer] = size
            self._hold([self._take(size)])
        self._scratch(kept)

    def _add(self, gradients: dict[Blob, _Memory], blob: Blob, memory: _Memory) -> None:
        """Adds to the gradient of a blob: in place where nothing else holds what is there."""
        there = gradients.get(blob)
        self._hold([memory])
        if there is None:
            gradients[blob] = memory
        elif there.holders == 1:
            self._release([memory])
        else:
            total = self._take(blob.count * self.value_bytes)
            self._hold([total])
            self._release([memory, there])
            gradients[blob] = total

    def _kept_by(self, spec: Spec | None, layer: Layer) -> Kept:
        if spec is None:
            return NOTHING
        if layer in self.scaled:
            return _SCALED
        if spec.is_absent(layer) or layer in self._before_pooling:
            return ARRANGED
        kept = spec.kept(layer)
        if layer in self.pooled:  # what the ReLU behind it keeps
            return kept._replace(tops=True)
        if layer.type in ("Convolution", "Deconvolution"):
            return kept._replace(scratch=self._reorders(layer))
        return kept

    def _reorders(self, layer: Layer) -> int:
        """The values of the copies of a planar convolution's blobs and weights for its kernel.

        Source: PyTorch's native/mkldnn/Conv.cpp.
        """
        weights = layer.params[0] if layer.params else None
        if weights is None or len(weights.shape) != 4:
            return 0
        bottom, top = layer.bottom_blobs[0], layer.top_blobs[0]
        if top not in self._last:
            return max(bottom.count + top.count, weights.count)
        learned = [bool(param.learned and param.lr_mult) for param in layer.params]
        # the weights in the kernel's own order, or their gradient in that and in the common one;
        # the bias alone has none without the weights'
        copies = 3 - learned[0] if any(learned) else 1
        return copies * weights.count + (0 if bottom in self._last else bottom.count)


def _held_by_the_feed() -> _Memory:
    """The data, which are counted among what is there all the time."""
    memory = _Memory(0)
    memory.holders = 1
    return memory
