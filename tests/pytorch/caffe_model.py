"""A model of Caffe's net level in numpy, written apart from netspec.

It has Caffe's memory, Split layers and backward pass.

Blobs are pointers to data and gradients, as in Caffe; layers write over what they point to. A
handful of layer types is enough to put every rule of Net::Init, InsertSplits and
Layer::SetLossWeights to the test (test_random_nets.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Refused(Exception):
    """The original stops in a CHECK."""


class Memory:
    """Values that several blobs may point to."""

    def __init__(self, count: int) -> None:
        self.v = np.zeros(count)


class Blob:
    """A shape, and where data and gradient lie."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.shape: tuple[int, ...] = ()
        self.data = self.diff = Memory(0)
        self.reshape(shape)

    def reshape(self, shape: tuple[int, ...]) -> None:
        self.shape = tuple(shape)
        if prod(shape) > len(self.data.v) or prod(shape) > len(self.diff.v):
            self.data, self.diff = Memory(prod(shape)), Memory(prod(shape))

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def values(self) -> Array:
        return self.data.v[: self.count]

    @property
    def gradient(self) -> Array:
        return self.diff.v[: self.count]


@dataclass
class Text:
    """A layer as it stands in the file."""

    name: str
    type: str
    bottom: list[str]
    top: list[str]
    p: dict[str, Any] = field(default_factory=dict)
    loss_weight: list[float] = field(default_factory=list)
    propagate_down: list[bool] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)


def insert_splits(specs: list[Text]) -> list[Text]:
    last_top: dict[str, tuple[int, int]] = {}
    source: dict[tuple[int, int], tuple[int, int]] = {}
    uses: dict[tuple[int, int], int] = {}
    weight: dict[tuple[int, int], float] = {}
    for i, s in enumerate(specs):
        for j, b in enumerate(s.bottom):
            if b not in last_top:
                raise Refused(f"unknown bottom {b}")
            source[i, j] = last_top[b]
            uses[last_top[b]] = uses.get(last_top[b], 0) + 1
        for j, t in enumerate(s.top):
            last_top[t] = (i, j)
        for j in range(min(len(s.loss_weight), len(s.top))):
            key = last_top[s.top[j]]
            weight[key] = s.loss_weight[j]
            if s.loss_weight[j]:
                uses[key] = uses.get(key, 0) + 1
    out: list[Text] = []
    taken: dict[tuple[int, int], int] = {}
    for i, s in enumerate(specs):
        bottoms = []
        for j, b in enumerate(s.bottom):
            key = source[i, j]
            if uses.get(key, 0) > 1:
                k = taken.get(key, 0)
                taken[key] = k + 1
                bottoms.append(f"{b}_{specs[key[0]].name}_{key[1]}_split_{k}")
            else:
                bottoms.append(b)
        new = Text(
            s.name,
            s.type,
            bottoms,
            list(s.top),
            s.p,
            list(s.loss_weight),
            list(s.propagate_down),
            list(s.lr),
        )
        out.append(new)
        for j, t in enumerate(s.top):
            key = (i, j)
            if uses.get(key, 0) > 1:
                w = weight.get(key, 0)
                split = Text(
                    f"{t}_{s.name}_{j}_split",
                    "Split",
                    [t],
                    [f"{t}_{s.name}_{j}_split_{k}" for k in range(uses[key])],
                )
                if w:
                    split.loss_weight = [w] + [0.0] * (uses[key] - 1)
                    new.loss_weight[j] = 0
                    taken[key] = 1
                out.append(split)
    return out


class Layer:
    is_loss = False
    in_place_ok = True

    def __init__(self, text: Text) -> None:
        self.text, self.p = text, text.p
        self.blobs: list[Blob] = []
        self.param_propagate: list[bool] = []

    def allow_force(self, i: int) -> bool:
        return True

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None: ...

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(bottom[0].shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None: ...

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None: ...


class Input(Layer):
    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for t in top:
            t.reshape(self.p["shape"])


class Power(Layer):
    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        power, scale, shift = (
            self.p.get("power", 1.0),
            self.p.get("scale", 1.0),
            self.p.get("shift", 0.0),
        )
        if power * scale == 0:
            top[0].data.v[:] = 1.0 if power == 0 else shift**power
            return
        top[0].data.v[:] = (bottom[0].data.v * scale + shift) ** power

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        if not down[0]:
            return
        power, scale, shift = (
            self.p.get("power", 1.0),
            self.p.get("scale", 1.0),
            self.p.get("shift", 0.0),
        )
        ds, bd = power * scale, bottom[0].diff.v
        if ds == 0 or power == 1:
            bd[:] = ds
        elif power == 2:
            bd[:] = ds * scale * bottom[0].data.v + ds * shift
        elif shift == 0:
            bd[:] = top[0].data.v / bottom[0].data.v * power
        else:
            bd[:] = bottom[0].data.v * scale + shift
            bd[:] = top[0].data.v / bd * ds
        if ds != 0:
            bd[:] = top[0].diff.v * bd


class Neuron(Layer):
    def f(self, x: Array) -> Array:
        raise NotImplementedError

    def g(self, d: Array, x: Array, y: Array) -> Array:
        raise NotImplementedError

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data.v[:] = self.f(bottom[0].data.v)

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        if down[0]:
            bottom[0].diff.v[:] = self.g(top[0].diff.v, bottom[0].data.v, top[0].data.v)


class ReLU(Neuron):
    def f(self, x: Array) -> Array:
        return np.maximum(x, 0) + self.p.get("negative_slope", 0) * np.minimum(x, 0)

    def g(self, d: Array, x: Array, y: Array) -> Array:
        return d * ((x > 0) + self.p.get("negative_slope", 0) * (x <= 0))


class TanH(Neuron):
    def f(self, x: Array) -> Array:
        return np.tanh(x)

    def g(self, d: Array, x: Array, y: Array) -> Array:
        return d * (1 - y * y)


class Sigmoid(Neuron):
    def f(self, x: Array) -> Array:
        return 0.5 * np.tanh(0.5 * x) + 0.5

    def g(self, d: Array, x: Array, y: Array) -> Array:
        return d * y * (1 - y)


class BNLL(Neuron):
    def f(self, x: Array) -> Array:
        return np.where(
            x > 0, x + np.log(1 + np.exp(-np.abs(x))), np.log(1 + np.exp(np.minimum(x, 0)))
        )

    def g(self, d: Array, x: Array, y: Array) -> Array:
        e = np.exp(np.minimum(x, 50))
        return d * e / (e + 1)


class ELU(Neuron):
    def f(self, x: Array) -> Array:
        return np.maximum(x, 0) + self.p.get("alpha", 1.0) * (np.exp(np.minimum(x, 0)) - 1)

    def g(self, d: Array, x: Array, y: Array) -> Array:
        return d * ((x > 0) + (self.p.get("alpha", 1.0) + y) * (x <= 0))


class Exp(Neuron):
    def f(self, x: Array) -> Array:
        return np.exp(x)

    def g(self, d: Array, x: Array, y: Array) -> Array:
        return d * y


class AbsVal(Neuron):
    in_place_ok = False

    def f(self, x: Array) -> Array:
        return np.abs(x)

    def g(self, d: Array, x: Array, y: Array) -> Array:
        return np.sign(x) * d


class Flatten(Layer):
    in_place_ok = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        s = bottom[0].shape
        top[0].reshape((s[0], prod(s[1:])))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].data = bottom[0].data

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        bottom[0].diff = top[0].diff  # whatever propagate_down says


class Reshape(Layer):
    in_place_ok = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].shape = tuple(self.p["shape"])
        assert top[0].count == bottom[0].count
        top[0].data, top[0].diff = bottom[0].data, bottom[0].diff


class One(Layer):
    """Concat or Slice of a single blob."""

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(bottom[0].shape)
        top[0].data, top[0].diff = bottom[0].data, bottom[0].diff


class Split(Layer):
    in_place_ok = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        for t in top:
            t.reshape(bottom[0].shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        for t in top:
            t.data = bottom[0].data

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        if not down[0]:
            return
        total = top[0].diff.v.copy()
        for t in top[1:]:
            total += t.diff.v
        bottom[0].diff.v[:] = total


class Silence(Layer):
    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None: ...

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        for i, b in enumerate(bottom):
            if down[i]:
                b.diff.v[:] = 0


class InnerProduct(Layer):
    in_place_ok = False

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        k, n = prod(bottom[0].shape[1:]), self.p["num_output"]
        self.blobs = [Blob((n, k)), Blob((n,))]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape((bottom[0].shape[0], self.p["num_output"]))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        n, k = self.blobs[0].shape
        x, w = bottom[0].data.v.reshape(-1, k), self.blobs[0].data.v.reshape(n, k)
        top[0].data.v[:] = (x @ w.T + self.blobs[1].data.v).ravel()

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        n, k = self.blobs[0].shape
        d, x, w = (
            top[0].diff.v.reshape(-1, n),
            bottom[0].data.v.reshape(-1, k),
            self.blobs[0].data.v.reshape(n, k),
        )
        if self.param_propagate[0]:
            self.blobs[0].diff.v += (d.T @ x).ravel()
        if self.param_propagate[1]:
            self.blobs[1].diff.v += d.sum(0)
        if down[0]:
            bottom[0].diff.v[:] = (d @ w).ravel()


class Scale(Layer):
    """One learned factor for all (num_axes 0)."""

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.blobs = [Blob(())]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.temp = bottom[0].data.v.copy() if bottom[0] is top[0] else None
        top[0].data.v[:] = bottom[0].data.v * self.blobs[0].data.v[0]

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        x = bottom[0].data.v if self.temp is None else self.temp
        if self.param_propagate[0]:
            self.blobs[0].diff.v[0] += top[0].diff.v @ x
        if down[0]:
            bottom[0].diff.v[:] = top[0].diff.v * self.blobs[0].data.v[0]


class Eltwise(Layer):
    in_place_ok = False

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        xs = [b.data.v for b in bottom]
        op = self.p.get("operation", "SUM")
        if op == "SUM":
            top[0].data.v[:] = sum(xs)
        elif op == "PROD":
            top[0].data.v[:] = np.prod(xs, axis=0)
        else:
            self.mask = np.where(xs[0] > xs[1], 0, 1)
            top[0].data.v[:] = np.maximum(xs[0], xs[1])

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        op = self.p.get("operation", "SUM")
        for i, b in enumerate(bottom):
            if not down[i]:
                continue
            if op == "SUM":
                b.diff.v[:] = top[0].diff.v
            elif op == "PROD":
                b.diff.v[:] = (
                    np.prod([o.data.v for j, o in enumerate(bottom) if j != i], axis=0)
                    * top[0].diff.v
                )
            else:
                b.diff.v[:] = top[0].diff.v * (self.mask == i)


class Reduction(Layer):
    in_place_ok = False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(())

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        x = bottom[0].data.v
        top[0].data.v[0] = x @ x if self.p.get("operation") == "SUMSQ" else x.sum()

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        if down[0]:
            x = bottom[0].data.v
            bottom[0].diff.v[:] = top[0].diff.v[0] * (
                2 * x if self.p.get("operation") == "SUMSQ" else 1
            )


class EuclideanLoss(Layer):
    is_loss, in_place_ok = True, False

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].reshape(())

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.diff = bottom[0].data.v - bottom[1].data.v
        top[0].data.v[0] = self.diff @ self.diff / bottom[0].shape[0] / 2

    def backward(self, top: list[Blob], down: list[bool], bottom: list[Blob]) -> None:
        for i, b in enumerate(bottom):
            if down[i]:
                b.diff.v[:] = (1 if i == 0 else -1) * top[0].diff.v[0] / b.shape[0] * self.diff


_CLASSES: tuple[type[Layer], ...] = (
    Input,
    Power,
    ReLU,
    TanH,
    Sigmoid,
    BNLL,
    ELU,
    Exp,
    AbsVal,
    Flatten,
    Reshape,
    Split,
    Silence,
)
TYPES = {
    c.__name__: c for c in (*_CLASSES, InnerProduct, Scale, Eltwise, Reduction, EuclideanLoss)
} | {"Concat": One, "Slice": One}


class Net:
    def __init__(self, specs: list[Text], force_backward: bool = False) -> None:
        specs = insert_splits(specs)
        self.layers: list[Layer] = []
        self.bottoms: list[list[Blob]] = []
        self.tops: list[list[Blob]] = []
        self.blobs: dict[str, Blob] = {}
        available: list[str] = []
        need: dict[str, bool] = {}
        self.need_backward: list[bool] = []
        self.bottom_need: list[list[bool]] = []
        self.weights: list[list[float]] = []
        for s in specs:
            layer = TYPES[s.type](s)
            if s.propagate_down and len(s.propagate_down) != len(s.bottom):
                raise Refused("propagate_down")
            bottoms, from_below, flags = [], False, []
            for j, b in enumerate(s.bottom):
                if b not in available:
                    raise Refused(f"unknown bottom {b}")
                available.remove(b)
                bottoms.append(self.blobs[b])
                from_below |= need[b]
                flags.append(s.propagate_down[j] if s.propagate_down else need[b])
            tops = []
            for j, t in enumerate(s.top):
                if j < len(s.bottom) and s.bottom[j] == t:
                    if not layer.in_place_ok:
                        raise Refused("in place")
                elif t in self.blobs:
                    raise Refused(f"Top blob '{t}' produced by multiple sources.")
                else:
                    self.blobs[t], need[t] = Blob(), False
                available.append(t)
                tops.append(self.blobs[t])
            layer.setup(bottoms, tops)
            layer.reshape(bottoms, tops)
            weights = list(s.loss_weight) or ([1.0] if layer.is_loss else [])
            weights += [0.0] * (len(tops) - len(weights))
            for top, w in zip(tops, weights, strict=False):
                if w:
                    top.diff.v[: top.count] = w
            lr = [s.lr[i] if i < len(s.lr) else 1.0 for i in range(len(layer.blobs))]
            layer.param_propagate = [r != 0 for r in lr]
            run = from_below or any(layer.param_propagate)
            if run:
                for t in s.top:
                    need[t] = True
            self.layers.append(layer)
            self.bottoms.append(bottoms)
            self.tops.append(tops)
            self.need_backward.append(run)
            self.bottom_need.append(flags)
            self.weights.append(weights)
        under: set[str] = set()
        skip: set[str] = set()
        for i in range(len(specs) - 1, -1, -1):
            s = specs[i]
            contributes = any(self.weights[i][: len(s.top)]) or any(t in under for t in s.top)
            skipped = all(t in skip for t in s.top)
            if self.need_backward[i] and skipped:
                self.need_backward[i] = False
                self.bottom_need[i] = [False] * len(s.bottom)
            if not contributes:
                self.need_backward[i] = False
            for j, b in enumerate(s.bottom):
                if contributes:
                    under.add(b)
                else:
                    self.bottom_need[i][j] = False
                if not self.bottom_need[i][j]:
                    skip.add(b)
        if force_backward:
            for i, layer in enumerate(self.layers):
                self.need_backward[i] = True
                self.bottom_need[i] = [
                    f or layer.allow_force(j) for j, f in enumerate(self.bottom_need[i])
                ]
                layer.param_propagate = [True] * len(layer.blobs)
        self.outputs = sorted(set(available))

    def forward(self) -> float:
        loss = 0.0
        for layer, b, t, w in zip(self.layers, self.bottoms, self.tops, self.weights, strict=True):
            layer.reshape(b, t)
            layer.forward(b, t)
            for blob, weight in zip(t, w, strict=False):
                if weight:
                    loss += float(blob.data.v[: blob.count] @ blob.diff.v[: blob.count])
        return loss

    def backward(self) -> None:
        for i in range(len(self.layers) - 1, -1, -1):
            if self.need_backward[i]:
                self.layers[i].backward(self.tops[i], self.bottom_need[i], self.bottoms[i])
