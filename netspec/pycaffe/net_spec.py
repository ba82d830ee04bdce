"""caffe.net_spec: nets written as Python expressions: `n.conv1 = L.Convolution(n.data, …)`.

Source: python/caffe/net_spec.py.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any

from netspec.pycaffe.proto import caffe_pb2

Message = Any
# what a net is written with: the layers by their functions, names by functions and tops, and how
# many of each type have been named automatically
Written = OrderedDict["Function", Message]


@cache
def param_name_dict() -> dict[str, str]:
    """The field of LayerParameter that holds a layer type's own parameters, without its `_param`.

    The type is named as in its parameters' message: InnerProduct has inner_product.
    """
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in fields
        if field.name.endswith("_param") and field.message_type is not None
    }


def assign_proto(message: Message, name: str, value: Any) -> None:
    """Sets a field of a message: a dict is a message, a list the values of a repeated field."""
    field = getattr(message, name)
    is_repeated = hasattr(field, "extend")
    if is_repeated and not isinstance(value, (list, tuple)):
        value = [value]
    if isinstance(value, dict):
        for key, part in value.items():
            assign_proto(field, key, part)
    elif not is_repeated:
        setattr(message, name, value)
    elif value and isinstance(value[0], dict):
        for item in value:
            added = field.add()
            for key, part in item.items():
                assign_proto(added, key, part)
    else:
        field.extend(value)


class Top:
    """One of the outputs of a function; a net's blob."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net that computes it, with automatic names."""
        return to_proto(self)

    def update(self, params: dict[str, Any]) -> None:
        """Changes settings of the layer that makes it."""
        self.fn.params.update(params)

    _update = update

    def _to_proto(self, layers: Written, names: dict[Any, str], counts: Counter[str]) -> None:
        self.fn._to_proto(layers, names, counts)


class Function:
    """A layer: its type, the tops that it reads, its settings.

    `ntop` and `in_place` among the settings are meant for this class.

    Raises: TypeError where an input is no Top.
    """

    def __init__(self, type_name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
        for index, top in enumerate(inputs):
            if not isinstance(top, Top):
                # scripts match this text
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(top)})")
        self.type_name, self.inputs, self.params = type_name, inputs, dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _name(self, names: dict[Any, str], counts: Counter[str]) -> str:
        """The layer's name: its own, or that of its first top."""
        if self not in names:
            first = self._top_name(self.tops[0], names, counts) if self.tops else None
            names[self] = first or _automatic(self.type_name, counts)
        return names[self]

    def _top_name(self, top: Top, names: dict[Any, str], counts: Counter[str]) -> str:
        if top not in names:
            names[top] = _automatic(self.type_name, counts)
        return names[top]

    def _to_proto(self, layers: Written, names: dict[Any, str], counts: Counter[str]) -> None:
        if self in layers:
            return
        bottoms = []
        for top in self.inputs:
            top._to_proto(layers, names, counts)
            bottoms.append(layers[top.fn].top[top.n])
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms)
        if self.in_place:
            layer.top.extend(bottoms)
        else:
            layer.top.extend(self._top_name(top, names, counts) for top in self.tops)
        layer.name = self._name(names, counts)
        for key, value in self.params.items():
            self._assign(layer, key, value)
        layers[self] = layer

    def _assign(self, layer: caffe_pb2.LayerParameter, key: str, value: Any) -> None:
        """Sets a setting: of the type's own parameters where these have it, else of the layer."""
        field = param_name_dict().get(self.type_name)
        if not key.endswith("param") and field is not None:
            own = getattr(layer, f"{field}_param")
            if key in own.DESCRIPTOR.fields_by_name:
                assign_proto(own, key, value)
                return
        if key not in layer.DESCRIPTOR.fields_by_name:
            raise AttributeError(f"{self.type_name} layers have no setting '{key}'")
        assign_proto(layer, key, value)


def _automatic(type_name: str, counts: Counter[str]) -> str:
    counts[type_name] += 1
    return f"{type_name}{counts[type_name]}"


class NetSpec:
    """A net: what is assigned to an attribute is a blob, or a layer without tops, of that name."""

    tops: OrderedDict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(f"the net has no blob '{name}'") from None

    def __setitem__(self, key: str, value: Any) -> None:
        self.tops[key] = value

    def __getitem__(self, key: str) -> Any:
        return self.tops[key]

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def update(self, name: str, params: dict[str, Any]) -> None:
        """Changes settings of the layer that makes a blob."""
        self.tops[name].update(params)

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net's message: its layers in the order in which they are needed."""
        return _written(self.tops.values(), {top: name for name, top in self.tops.items()})


def to_proto(*tops: Top) -> caffe_pb2.NetParameter:
    """The net that computes some tops, with automatic names."""
    return _written(tops, {})


def _written(tops: Any, names: dict[Any, str]) -> caffe_pb2.NetParameter:
    layers: Written = OrderedDict()
    counts: Counter[str] = Counter()
    for top in tops:
        top._to_proto(layers, names, counts)
    return caffe_pb2.NetParameter(layer=layers.values())


class Layers:
    """`L.Convolution(bottom, num_output=…)` makes a layer of any type.

    It gives the top, a tuple of tops where `ntop` is more than 1, the Function where it is 0.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer_fn(*inputs: Any, **params: Any) -> Any:
            fn = Function(name, inputs, params)
            if fn.ntop == 0:
                return fn
            return fn.tops[0] if fn.ntop == 1 else fn.tops

        return layer_fn


class Parameters:
    """`P.Pooling.MAX` is a value of an enum of PoolingParameter."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return getattr(caffe_pb2, f"{name}Parameter")
        except AttributeError:
            raise AttributeError(f"Caffe has no parameters of '{name}'") from None


layers = Layers()
params = Parameters()
