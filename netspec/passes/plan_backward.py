"""Which layers Caffe's backward pass runs through, and which tops count in it.

Source: Caffe's Net::Init (layer_need_backward, bottom_need_backward), InsertSplits and
    Layer::SetLossWeights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from netspec.graph import Blob, Layer
from netspec.layers import find_spec


@dataclass(slots=True)
class BackwardPlan:
    """What the backward pass of a list of layers does.

    `learning` layers give their params gradients; a gradient reaches each `passing` (layer, index
    of its bottom), and none passes a `stopped` one, by its propagate_down. `weights` are those of
    the tops that count in the objective; a `silent` one counts in its value but passes no gradient
    down, and at each of `entries`, which does not count, a gradient of its weight enters.
    """

    learning: set[Layer] = field(default_factory=set)
    passing: set[tuple[Layer, int]] = field(default_factory=set)
    stopped: set[tuple[Layer, int]] = field(default_factory=set)
    weights: dict[Blob, float] = field(default_factory=dict)
    silent: set[Blob] = field(default_factory=set)
    entries: dict[Blob, float] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Step:
    """A layer, or (`layer` None) a Split as Caffe inserts one where a blob is read more than once.

    Blobs are distinguished as in Caffe, by name: the versions of one name share their flags, and
    the memory of their gradient. A Reshape, which `shares_gradient`, gives its top the bottom's
    memory and leaves it alone.
    """

    layer: Layer | None
    blobs: list[Blob]  # a layer's tops, or the blob that is split
    bottoms: list[object]
    tops: list[object]
    weighted: list[bool]
    has_learned_params: bool = False
    shares_gradient: bool = False
    runs: bool = False
    propagates: list[bool] = field(default_factory=list)

    def blob(self, top: int) -> Blob:
        return self.blobs[top] if self.layer else self.blobs[0]

    def weight(self, top: int) -> float:
        blob = self.blob(top)
        return blob.producer.loss_weights[blob.top_index]


def plan_backward(layers: Sequence[Layer], force_backward: bool = False) -> BackwardPlan:
    """The backward pass of layers that stand in file order, from the objective down.

    Args:
        force_backward: run through every layer, down to the inputs, as the net's field of that name
            asks.
    """
    steps = _with_splits(layers)
    _mark_needed(steps)
    skipped = _skip_unneeded(steps)
    if force_backward:
        skipped.clear()
        for step in steps:
            _force(step)
    return _plan(steps, skipped)


def _with_splits(layers: Sequence[Layer]) -> list[_Step]:
    kept = set(layers)
    steps: list[_Step] = []
    # what is left of a split blob's tops, for its readers in order
    reads: dict[Blob, list[object]] = {}
    for layer in layers:
        bottoms = [reads[b].pop(0) if reads.get(b) else b.name for b in layer.bottom_blobs]
        weighted = [bool(weight) for weight in layer.loss_weights]
        learned = any(param.lr_mult != 0 for param in layer.params)
        tops: list[object] = list(layer.tops)
        spec = find_spec(layer.spec_name)
        shares = (
            spec is not None
            and bool(bottoms)
            and spec.shares_memory(layer)
            and spec.shares_gradient(layer)
        )
        step = _Step(layer, layer.top_blobs, bottoms, tops, weighted, learned, shares)
        steps.append(step)
        for i, blob in enumerate(layer.top_blobs):
            is_explicit = bool(layer.message.loss_weight) and weighted[i]
            uses = is_explicit + sum(reader in kept for reader, _ in blob.consumers)
            if uses > 1:
                split: list[object] = [(blob, k) for k in range(uses)]
                steps.append(
                    _Step(None, [blob], [blob.name], split, [is_explicit, *[False] * (uses - 1)])
                )
                reads[blob] = split[1:] if is_explicit else list(split)
                if is_explicit:
                    step.weighted = [w and k != i for k, w in enumerate(step.weighted)]
    return steps


def _mark_needed(steps: list[_Step]) -> None:
    """What has learned params above it needs a gradient, and passes it on."""
    needed: set[object] = set()
    for step in steps:
        from_below = [name in needed for name in step.bottoms]
        flags = list(step.layer.message.propagate_down) if step.layer else []
        step.propagates = flags if len(flags) == len(from_below) else from_below
        step.runs = any(from_below) or step.has_learned_params
        if step.runs:
            needed.update(step.tops)


def _skip_unneeded(steps: list[_Step]) -> set[_Step]:
    """Takes out what leads to no objective.

    Returns the layers all of whose tops want no gradient.
    """
    under_loss: set[object] = set()
    unwanted: set[object] = set()
    skipped = set()
    for step in reversed(steps):
        contributes = any(step.weighted) or any(name in under_loss for name in step.tops)
        if step.runs and all(name in unwanted for name in step.tops):
            skipped.add(step)
            step.runs = False
            step.propagates = [False] * len(step.bottoms)
        if contributes:
            under_loss.update(step.bottoms)
        else:
            step.runs = False
            step.propagates = [False] * len(step.bottoms)
        pairs = zip(step.bottoms, step.propagates, strict=True)
        unwanted.update(name for name, passes in pairs if not passes)
    return skipped


def _force(step: _Step) -> None:
    step.runs = True
    spec = find_spec(step.layer.spec_name) if step.layer else None
    unforced = spec.unforced if spec else ()
    step.propagates = [flag or i not in unforced for i, flag in enumerate(step.propagates)]


def _plan(steps: list[_Step], skipped: set[_Step]) -> BackwardPlan:
    plan = BackwardPlan()
    memories: dict[object, object] = {}
    for step in steps:
        if step.shares_gradient:
            memories[step.tops[0]] = memories.get(step.bottoms[0], step.bottoms[0])
    weighted = [
        (step, i, memories.get(step.tops[i], step.tops[i]))
        for step in steps
        for i, counts in enumerate(step.weighted)
        if counts
    ]
    # it stands in the gradient's memory, where the last one set counts
    weights = {memory: step.weight(i) for step, i, memory in weighted}
    written, readers = _first_readers(steps, skipped, memories)
    for step, i, memory in weighted:
        blob, reader = step.blob(i), readers.get(memory)
        plan.weights[blob] = weights[memory]
        if reader is not blob and not (
            reader is None and memory not in written and step not in skipped
        ):
            plan.silent.add(blob)
    counted = {memory for step, i, memory in weighted if step.blob(i) is readers.get(memory)}
    for memory in weights.keys() & readers.keys() - counted:
        plan.entries[readers[memory]] = plan.entries.get(readers[memory], 0.0) + weights[memory]
    for step in steps:
        if step.layer is not None:
            _plan_layer(plan, step, step.layer)
    return plan


def _first_readers(
    steps: list[_Step], skipped: set[_Step], memories: dict[object, object]
) -> tuple[set[object], dict[object, Blob]]:
    """The memories that the backward pass writes to, and the top by which it first reads each.

    What it reads there stood in it from the start.

    A layer in place writes over what it has read; what has been written to before is no longer what
    stood there.
    """
    written: set[object] = set()
    readers: dict[object, Blob] = {}
    for step in reversed(steps):
        if step.shares_gradient:
            continue
        bottoms, tops = (
            [memories.get(name, name) for name in names] for names in (step.bottoms, step.tops)
        )
        if step.runs or (any(step.weighted) and step not in skipped):
            for i, memory in enumerate(tops):
                if memory not in written:
                    readers.setdefault(memory, step.blob(i))
        if step.runs:
            written.update(
                memory for memory, flag in zip(bottoms, step.propagates, strict=True) if flag
            )
    return written, readers


def _plan_layer(plan: BackwardPlan, step: _Step, layer: Layer) -> None:
    if step.runs:
        plan.learning.add(layer)
        plan.passing.update((layer, i) for i, flag in enumerate(step.propagates) if flag)
    for i, flag in enumerate(layer.message.propagate_down):
        if not flag and i < len(step.propagates) and not step.propagates[i]:
            plan.stopped.add((layer, i))
