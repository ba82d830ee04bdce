"""The keys of a module's state_dict for a net's params, and the layers of what has such keys.

One rule for .safetensors, .npz and .pt. What it leaves open, such as a layer's name that is no
Python name, files of netspec's own say in a layout.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.hint import did_you_mean

Keys = Sequence["str | None"]  # of a layer's params; None for a view of another layer's
Layout = Mapping[str, Keys]  # by layer
Weights = dict[str, list["np.ndarray | None"]]

DEFAULT = ("weight", "bias")
# what the params of other layers are called, in Caffe's order, by the layer's rule
BLOB_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "BatchNorm": (("mean", "variance", "scale_factor"),),
    "BatchNorm (intel)": (("mean", "variance", "scale_factor"),),
    "BatchNorm (nvidia)": (
        ("mean", "variance", "correction"),
        ("mean", "variance", "correction", "weight", "bias"),
    ),
    "BN (pspnet)": (("weight", "bias", "mean", "variance"),),
    "Bias": (("bias",),),
    "LSTM": (
        ("weight_x", "bias", "weight_h"),
        ("weight_x", "bias", "weight_static", "weight_h"),
    ),
    "RNN": (
        ("weight_x", "bias", "weight_h", "weight_o", "bias_o"),
        ("weight_x", "bias", "weight_static", "weight_h", "weight_o", "bias_o"),
    ),
    "Lstm": (("weight_x", "weight_h", "bias"),),
}


def python_name(name: str) -> str:
    """A layer's name as a Python name: inception_3a_1x1 of 'inception_3a/1x1'."""
    base = re.sub(r"\W", "_", name)
    if not base or base[0].isdigit():
        base = f"_{base}"
    return f"{base}_" if keyword.iskeyword(base) else base


def keys_by_rule(name: str, rule: str, count: int) -> list[str]:
    """The keys of a layer's params as its module has them; numbers where no rule does.

    Args: rule: the layer's type, of one with several rules which it is; "" where it is not known.
        count: how many params it has.
    """
    leaves: Iterable[str] = next(
        (names for names in BLOB_NAMES.get(rule, ()) if len(names) == count),
        DEFAULT[:count] if count <= len(DEFAULT) else map(str, range(count)),
    )
    return [f"{python_name(name or rule)}.{leaf}" for leaf in islice(leaves, count)]


def keyed(
    layers: Iterable[tuple[str, str, Sequence[str], Sequence[str], Sequence[np.ndarray]]],
    keys: Sequence[Keys] | None = None,
) -> tuple[dict[str, np.ndarray], str]:
    """The arrays of layers (name, type, bottoms, tops, arrays) by their keys.

    And the layout as JSON: the keys of each layer, in order. Arrays of half precision stay so,
    all others are made single.

    Args: keys: those of each layer's arrays, None for one to leave out; without them the rule's.
    """
    tensors: dict[str, np.ndarray] = {}
    layout: dict[str, Keys] = {}
    for i, (name, type_name, _, _, arrays) in enumerate(layers):
        if not arrays:
            continue
        own = keys_by_rule(name, type_name, len(arrays)) if keys is None else keys[i]
        if keys is None and own[0] in tensors:  # of another layer whose name looks the same
            own = [f"{key.partition('.')[0]}_{i}.{key.partition('.')[2]}" for key in own if key]
        layout[name] = list(own)
        for key, array in zip(own, arrays, strict=True):
            if key is not None:
                kind = np.float16 if array.dtype == np.float16 else np.float32
                tensors[key] = np.asarray(array, dtype=kind, order="C")
    return tensors, json.dumps(layout)


def read_layout(path: object, text: str | bytes) -> Layout:
    """The layout again. Raises: NetspecError where it is none."""
    try:
        layout = json.loads(text)
        if not all(
            isinstance(keys, list) and all(key is None or isinstance(key, str) for key in keys)
            for keys in layout.values()
        ):
            raise ValueError
    except (ValueError, AttributeError, RecursionError):
        raise NetspecError(f"'{path}': what it says of its layers is damaged") from None
    return layout


def keys_of_net(net: Net) -> dict[str, list[str]]:
    """The keys of each layer's params, by the layer's name."""
    return {
        layer.name: keys_by_rule(layer.name, layer.spec_name, len(layer.params))
        for layer in net.layers
        if layer.params
    }


@dataclass(frozen=True, slots=True)
class TensorNames:
    """What the tensors of a file are called that is not of netspec's own.

    Args:
        layers: the keys of a net's layers.
        theirs: tensors of the file by name, or what their names begin with, each with what it is
            called in the net: a key, a layer, or <layer>/<index>.
    """

    layers: Layout = field(default_factory=dict)
    theirs: Mapping[str, str] = field(default_factory=dict)

    def by_key(self) -> dict[str, tuple[str, int]]:
        """The layer of the net, and the index of its param, that each key means.

        A layer may also go by its own name where that is no Python name, and a param without the
        module that the layer is wrapped in.
        """
        found: dict[str, tuple[str, int]] = {}
        for layer, keys in self.layers.items():
            for i, key in enumerate(keys):
                if key is not None:
                    stem, _, leaf = key.partition(".")
                    short = leaf.rpartition(".")[2]
                    for name in (key, f"{layer}.{leaf}", f"{stem}.{short}", f"{layer}.{short}"):
                        found.setdefault(name, (layer, i))
        return found

    def with_old_names(self, rename: Mapping[str, str]) -> TensorNames:
        """Also for a file whose layers have other names.

        Args: rename: the layers of the file that have others, each with its name in the net.
        """
        old = {
            name: [
                None if key is None else f"{python_name(name)}.{key.partition('.')[2]}"
                for key in self.layers[new]
            ]
            for name, new in rename.items()
            if new in self.layers
        }
        return replace(self, layers={**old, **self.layers})

    def called(self, path: object, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The tensors by the names that `theirs` gives them.

        Raises: NetspecError where the file has no tensor of a name, or two get the same.
        """
        if not self.theirs:
            return dict(tensors)
        used: set[str] = set()
        called: dict[str, np.ndarray] = {}
        for key, tensor in tensors.items():
            old = _longest(key, self.theirs)
            new = key if old is None else self.theirs[old] + key[len(old) :]
            if old is not None:
                used.add(old)
            if new in called:
                raise NetspecError(f"'{path}' would have two tensors '{new}'")
            called[new] = tensor
        for name in self.theirs:
            if name not in used:
                raise NetspecError(
                    f"'{path}' has no tensor '{name}'", hint=did_you_mean(name, tensors)
                )
        self._require_known()
        return called

    def _require_known(self) -> None:
        """Raises NetspecError where `theirs` names what the net, if one is known, does not have."""
        keys = self.by_key()
        known = {*keys, *self.layers, *(key.partition(".")[0] for key in keys)}
        for old, new in self.theirs.items():
            layer, _, index = new.rpartition("/")
            if self.layers and new not in known and not (layer in known and _is_index(index)):
                raise NetspecError(
                    f"'{old}' is called '{new}', but the net has no such param or layer",
                    hint=did_you_mean(new, keys),
                )


def _longest(key: str, names: Collection[str]) -> str | None:
    """The name that a key is, or begins with up to a dot."""
    at = len(key)
    while at > 0:
        if key[:at] in names:
            return key[:at]
        at = key.rfind(".", 0, at)
    return None


def layers_of(
    path: object,
    tensors: Mapping[str, np.ndarray],
    layout: Layout | None = None,
    names: TensorNames | None = None,
) -> Weights:
    """The layers of a file's tensors, and their arrays in Caffe's order.

    A key is one of the file's own layout, one of the net's, `<layer>/<index>` (as netspec wrote
    before), or `<layer>.<name of the param>`.

    Args: layout: what the file says of its layers.
    Raises: NetspecError where a tensor is missing or holds no numbers.
    """
    names, layout = names or TensorNames(), layout or {}
    found: Weights = {
        layer: _laid_out(path, layer, keys, tensors) for layer, keys in layout.items()
    }
    known = {key for keys in layout.values() for key in keys}
    left = {k: a for k, a in names.called(path, tensors).items() if k not in known}
    by_key = names.by_key()
    placed: dict[str, dict[int, np.ndarray]] = {}
    others: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in left.items():
        layer, _, index = key.rpartition("/")
        if key in by_key:
            layer, at = by_key[key]
            placed.setdefault(layer, {})[at] = tensor
        elif layer and _is_index(index):
            placed.setdefault(layer, {})[int(index)] = tensor
        else:
            stem, _, leaf = key.rpartition(".")
            others.setdefault(stem or leaf, {})[leaf if stem else DEFAULT[0]] = tensor
    for layer, arrays in placed.items():
        found[layer] = _in_order(path, layer, arrays, names.layers.get(layer))
    stems = {key.rpartition(".")[0] for key in by_key} | set(found)
    for stem, leaves in others.items():
        # what the file has beside a layer's params, such as a count, is no layer of that name
        if stem in stems and (stem in found or not all(map(_is_index, leaves))):
            found |= {f"{stem}.{leaf}": [tensor] for leaf, tensor in leaves.items()}
        else:
            found[stem] = [leaves[leaf] for leaf in _order(leaves)]
    return found


def _laid_out(
    path: object, layer: str, keys: Keys, tensors: Mapping[str, np.ndarray]
) -> list[np.ndarray | None]:
    """The arrays of a layer as the file's layout has them."""
    missing = next((key for key in keys if key is not None and key not in tensors), None)
    if missing is not None:
        raise NetspecError(f"'{path}': layer '{layer}' has no tensor '{missing}'")
    return [None if key is None else tensors[key] for key in keys]


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 4


def _in_order(
    path: object, layer: str, arrays: Mapping[int, np.ndarray], keys: Keys | None
) -> list[np.ndarray | None]:
    """The arrays of a layer. Raises: NetspecError where one before the last is missing."""
    for i in range(max(arrays)):
        key = keys[i] if keys is not None and i < len(keys) else f"{layer}/{i}"
        if i not in arrays and key is not None:
            raise NetspecError(f"'{path}': layer '{layer}' has no tensor '{key}'")
    return [arrays.get(i) for i in range(max(arrays) + 1)]


def _order(leaves: Collection[str]) -> list[str]:
    """The params of a layer in Caffe's order, by their names alone.

    Where nothing is known of these, weight and bias come first, the others as they come.
    """
    if all(map(_is_index, leaves)):
        return sorted(leaves, key=int)
    known = (names for rule in BLOB_NAMES.values() for names in rule)
    if order := next((names for names in known if set(names) == set(leaves)), None):
        return list(order)
    return [*filter(leaves.__contains__, DEFAULT), *(x for x in leaves if x not in DEFAULT)]
