"""A net that runs layer by layer on blobs: its passes, its place, what is called on the way.

Source: Caffe's Net::ForwardFromTo, BackwardFromTo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from netspec import graph
from netspec.pycaffe import mode
from netspec.pycaffe.build_steps import build_steps
from netspec.pycaffe.data_step import DataStep
from netspec.pycaffe.debug_info import log_backward, log_forward, log_params
from netspec.pycaffe.memory import ParamDiff
from netspec.pytorch.module import NetModule

Callback = Callable[[int], object]
CALLBACKS = ("before_forward", "after_forward", "before_backward", "after_backward")


class RunningNet:
    """The layers of a net in order, and the blobs that join them."""

    @classmethod
    def of(
        cls, net: graph.Net, module: NetModule, device: torch.device, draw_seed: Callable[[], int]
    ) -> Self:
        """The running net of a module, whose params it shares."""
        made = cls.__new__(cls)
        made._take(net, module, device, draw_seed)
        made._moves = False
        return made

    def _take(
        self, net: graph.Net, module: NetModule, device: torch.device, draw_seed: Callable[[], int]
    ) -> None:
        self.graph, self.module, self._device = net, module, device
        running = build_steps(net, module, device, draw_seed)
        self._steps, self._blobs_by_name, self._weights = (
            running.steps,
            running.blobs,
            running.weights,
        )
        self._moves = True
        diffs = (blob.diff_memory for step in self._steps for blob in step.blobs)
        self.param_diffs = list(
            dict.fromkeys(diff for diff in diffs if isinstance(diff, ParamDiff))
        )
        self.debug_info = net.debug_info
        self._callbacks: dict[str, list[Callback]] = {name: [] for name in CALLBACKS}

    def run_forward(self, first: int, last: int) -> Tensor:
        """Runs layers forward; returns what their tops count in the objective."""
        self._follow_mode()
        total: Tensor | None = None
        before, after = self._callbacks["before_forward"], self._callbacks["after_forward"]
        with torch.no_grad():
            for index in range(first, last + 1):
                step = self._steps[index]
                for call in before:
                    call(index)
                try:
                    step.forward()
                except Exception as error:
                    error.add_note(f"in layer '{step.name}'")
                    raise
                if self.debug_info:
                    log_forward(step)
                loss = step.loss()
                if loss is not None:
                    total = loss if total is None else total + loss
                for call in after:
                    call(index)
        return torch.zeros(()) if total is None else total

    def run_backward(self, first: int, last: int, keeps: bool = True) -> None:
        """Runs layers backward. Args: keeps: let the pass be run again."""
        self._follow_mode()
        for diff in self.param_diffs:
            diff.settle()
        before, after = self._callbacks["before_backward"], self._callbacks["after_backward"]
        with torch.no_grad():
            for index in range(first, last - 1, -1):
                step = self._steps[index]
                for call in before:
                    call(index)
                try:
                    step.backward(keeps)
                except Exception as error:
                    error.add_note(f"in layer '{step.name}'")
                    raise
                if self.debug_info and step.needs_backward:
                    log_backward(step)
                for call in after:
                    call(index)

    def output_tensors(self) -> dict[str, Tensor]:
        """The outputs as they stand."""
        return {name: self._blobs_by_name[name].tensor() for name in self.graph.outputs}

    def run_forward_all(self) -> Tensor:
        """Runs every layer forward; returns the objective."""
        return self.run_forward(0, len(self._steps) - 1)

    def run_backward_all(self) -> None:
        """Runs every layer backward, once."""
        self.run_backward(len(self._steps) - 1, 0, keeps=False)
        if self.debug_info:
            log_params(self.param_diffs)

    def _forward(self, first: int, last: int) -> float:
        return float(self.run_forward(first, last))

    def _backward(self, first: int, last: int) -> None:
        self.run_backward(first, last)

    def _follow_mode(self) -> None:
        """Moves the net where the mode has changed since. A solver's net stays with its solver."""
        device = mode.device()
        if device == self._device:
            return
        if not self._moves:
            raise RuntimeError(
                f"the solver's nets are on {self._device}, the mode is {device}: "
                "set the mode before the solver is made"
            )
        for blob in (
            *self._blobs_by_name.values(),
            *(blob for step in self._steps for blob in step.blobs),
        ):
            blob.to(device)
        for step in self._steps:
            step.to(device)
        self.module.to(device)
        self._device = device

    def reshape(self) -> None:
        """Gives every blob the sizes that follow from those of the inputs."""
        with torch.no_grad():
            for step in self._steps:
                step.reshape()

    def clear_param_diffs(self) -> None:
        """Makes the diffs of all params 0."""
        for diff in self.param_diffs:
            diff.clear()

    def before_forward(self, callback: Callback) -> None:
        """Calls a function with the index of each layer before it runs forward."""
        self._callbacks["before_forward"].append(callback)

    def after_forward(self, callback: Callback) -> None:
        """Calls a function with the index of each layer after it has run forward."""
        self._callbacks["after_forward"].append(callback)

    def before_backward(self, callback: Callback) -> None:
        """Calls a function with the index of each layer before its turn backward."""
        self._callbacks["before_backward"].append(callback)

    def after_backward(self, callback: Callback) -> None:
        """Calls a function with the index of each layer after its turn backward."""
        self._callbacks["after_backward"].append(callback)

    @property
    def data_layers(self) -> list[DataStep]:
        """Its layers that read records."""
        return [step for step in self._steps if isinstance(step, DataStep)]

    def close(self) -> None:
        """Ends the reading of data."""
        for layer in self.data_layers:
            layer.close()
