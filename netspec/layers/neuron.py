"""Element by element: the top has the bottom's shape and may be the bottom. Source: Caffe's NeuronLayers."""

from __future__ import annotations

from netspec.layers.spec import Site, Spec


class Neuron(Spec):
    """What all of them share."""

    in_place = True


class ReLU(Neuron):
    """max(0, x), plus negative_slope · min(0, x)."""

    type = "ReLU"
    param = "relu_param"


class Sigmoid(Neuron):
    """1 / (1 + e^-x)."""

    type = "Sigmoid"
    param = "sigmoid_param"


class TanH(Neuron):
    """The hyperbolic tangent."""

    type = "TanH"
    param = "tanh_param"


class Dropout(Neuron):
    """In TRAIN sets a share of the values to 0 and divides the others by the share that is kept; in TEST nothing."""

    type = "Dropout"
    param = "dropout_param"

    def check(self, site: Site) -> None:
        ratio = site.param.dropout_ratio
        if not 0 <= ratio < 1:
            site.error(f"'dropout_ratio' must lie between 0 and 1, got {ratio:g}", "dropout_ratio", hint="it is the share that is set to 0")


SPECS = (ReLU, Sigmoid, TanH, Dropout)
