"""Layers written in Python in a running net: they work on the net's own blobs."""

from __future__ import annotations

from typing import Any

import torch

from netspec.layers.python_object import Instance
from netspec.pycaffe.alias import running_user_code
from netspec.pycaffe.blob import BlobVec
from netspec.pycaffe.step import Step
from netspec.pytorch.layers.python import PythonLayer


class PythonStep(Step):
    """Runs the object of a user's class. What it raises comes out as it is.

    Source: Caffe's PythonLayer.
    """

    def __init__(self, *args: Any, module: PythonLayer, blobs: BlobVec, **more: Any) -> None:
        super().__init__(*args, **more)
        self.instance: Instance = module.instance
        self.blobs = blobs
        bottoms: Any = self.bottoms
        tops: Any = self.tops
        self.instance.bottoms, self.instance.tops = bottoms, tops
        own: list[Any] = self.instance.blobs  # of the user's object, which may keep the list
        for blob, taken in zip(own, blobs, strict=True):  # or one of its blobs: it is as the net's
            blob.__class__, blob.__dict__ = type(taken), vars(taken)
        own[:] = blobs

    @property
    def shown(self) -> Any:
        """The user's object."""
        return self.instance.object

    def reshape(self, *blobs: object) -> None:
        with running_user_code():
            self.instance.reshape()

    def forward(self) -> None:
        with running_user_code():
            self.instance.reshape()
            self.instance.call("forward", self.bottoms, self.tops)

    def backward(self, keeps: bool = True) -> None:
        if self.needs_backward:
            with running_user_code():
                self.instance.call("backward", self.tops, list(self.propagates), self.bottoms)

    def to(self, device: torch.device) -> None:
        """Nothing: it computes on the host."""
