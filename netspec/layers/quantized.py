"""Caffe's layers with numbers of few bits (Ristretto).

Source: pmgysel/caffe. Their shapes and params are those of the layers that they stand for.
"""

from __future__ import annotations

from netspec.layers.convolution import Convolution, Deconvolution
from netspec.layers.inner_product import InnerProduct
from netspec.layers.normalization import LRN
from netspec.layers.spec import Spec

_REASON = "its numbers of few bits (quantization_param) are not carried out"
_TAKES = frozenset({"quantization_param"})


class ConvolutionRistretto(Convolution):
    """A Convolution with numbers of few bits."""

    type = "ConvolutionRistretto"
    not_computed = _REASON
    takes = _TAKES


class DeconvolutionRistretto(Deconvolution):
    """A Deconvolution with numbers of few bits."""

    type = "DeconvolutionRistretto"
    not_computed = _REASON
    takes = _TAKES


class FcRistretto(InnerProduct):
    """An InnerProduct with numbers of few bits."""

    type = "FcRistretto"
    not_computed = _REASON
    takes = _TAKES


class LRNRistretto(LRN):
    """An LRN with numbers of few bits."""

    type = "LRNRistretto"
    not_computed = _REASON
    takes = _TAKES


SPECS: tuple[type[Spec], ...] = (
    ConvolutionRistretto,
    DeconvolutionRistretto,
    FcRistretto,
    LRNRistretto,
)
