"""The training loop, as Caffe runs it. Source: Caffe's Solver::Step, Solve."""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import NoReturn

import torch
from torch import Tensor

from netspec.diagnostics import counted
from netspec.pytorch.debug_info import DebugInfo
from netspec.pytorch.loss_scale import gradient_fault
from netspec.pytorch.not_finite import loss_fault, report_not_finite
from netspec.pytorch.processes import OthersLostError
from netspec.pytorch.tester import numbers
from netspec.pytorch.training_run import TrainingRun

# iterations from one look at whether the loss is finite to the next: each makes the CPU wait for
# the GPU
LOOKS_ON_GPU = 16


class Solver(TrainingRun):
    """A training run: `step(n)`, `solve()`, `snapshot()`, `restore(path)`.

    Args:
        path: the solver file.
        overrides: values in place of the file's.
        device: where to compute; None takes a GPU where there is one and the file does not say CPU.
        listener: hears of the run's events.
        allow_python_layers: run the Python code that layers of type Python name; it can do
            anything.
        processes: the processes of the run, of which this is one.
        retention: which snapshots stay; all where it is not given.
        dialect: the fork whose rules the nets follow, where a layer type has several; None asks
            their files.
        strict: warnings of the solver's and the nets' files are errors.
        precision: of convolutions and dense layers: fp32, bf16, fp16 (with a loss scale that
            follows the run), or where a GPU has it tf32; None is that of the snapshot that the run
            goes on from, else fp32.
        exact: without what changes the order of sums: BatchNorm and Scale as one, blobs that
            lie channels last on the CPU.
        checkpoint: "auto" computes segments of layers again in the backward pass instead of keeping
            their values, so that the step takes less memory and more time; results are the same.
        compile: torch.compile compiles the nets when they first run.
        workers: threads that decode and transform the data in each process, as in `batches`.

    Raises: NetspecError where the solver, one of its nets, or the data is wrong, where the device
        lacks the precision, or what torch.compile needs is not installed.
    """

    def step(self, n: int) -> dict[str, Tensor]:
        """Trains n iterations, fewer where a signal stops it.

        Returns the outputs of the last forward pass.
        """
        outputs: dict[str, Tensor] = {}
        self.is_stopping = False
        for _ in range(n):
            if self._is_test_due():
                self.test()
                if self.is_stopping:
                    break
            outputs = self._iterate()
            self._heed_requests()
            if self.is_stopping:
                break
        return outputs

    def _iterate(self) -> dict[str, Tensor]:
        """One iteration: forward and backward iter_size times, display, update, snapshot."""
        p = self.param
        is_shown = bool(p.display) and self.iter % p.display == 0
        self._seed()
        self._held = self.carried.held()
        self.updater.zero_grad()
        outputs: dict[str, Tensor] = {}
        total = torch.zeros((), device=self.device)
        for part in range(p.iter_size):
            loss, outputs = self._forward_backward(
                is_last=part == p.iter_size - 1, with_info=is_shown and p.debug_info
            )
            total += loss
        self.losses.append(total / p.iter_size)
        self._require_finite(is_shown)
        if is_shown:
            self._display(outputs)
        if self._unscale():
            self.updater.apply(self.lr, self.iter)
        self.iter += 1
        self.train_batches += p.iter_size
        self.listener.iterated(self.iter)
        if p.snapshot and self.iter % p.snapshot == 0:
            self._snapshot_in_passing()
        return {name: value.detach() for name, value in outputs.items()}

    def _forward_backward(self, is_last: bool, with_info: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Adds to the gradients.

        After the last part of an iteration they are the mean over the processes.
        """
        scale = self.loss_scale.scale if self.loss_scale else 1.0
        info = DebugInfo(self.net, self.module, scale) if with_info else None
        outputs = self._train_feed().forward(info.forward if info else self.forward_pass)
        loss = self._backward.run(outputs, is_last, scale)
        if info:
            info.add_backward()
            self.listener.debugged(info.lines)
        return loss, outputs

    def _unscale(self) -> bool:
        """Takes the loss scale out of the gradients; returns whether the update goes on.

        Raises: NetspecError where they overflow at the smallest scale, too.
        """
        scale = self.loss_scale
        if scale is None:
            return True
        if scale.unscale([blob.grad for blob in self.updater.blobs if blob.grad is not None]):
            scale.grow()
            return True
        scale.back_off()
        if scale.is_exhausted:
            base_lr = self.file.spans.at("base_lr")
            raise gradient_fault(self.net, self.module, self.iter, base_lr)
        self.updater.skip()
        self.listener.skipped(self.iter, scale.scale, scale.skipped)
        return False

    def _require_finite(self, is_shown: bool) -> None:
        """Raises NetspecError where the loss is no finite number.

        On the CPU that is before it reaches the weights. A GPU's losses are looked at every
        LOOKS_ON_GPU iterations, when they are displayed, and before a snapshot: up to 15 updates
        may pass by then. Weights that are not finite are never saved. With a loss scale, for which
        the CPU waits anyway, every loss is looked at.
        """
        p = self.param
        if self.device.type == "cuda" and not (
            is_shown
            or self.loss_scale
            or self.iter % LOOKS_ON_GPU == 0
            or (p.snapshot and (self.iter + 1) % p.snapshot == 0)
        ):
            return
        own = self.losses.last
        self.losses.agree(self.processes)
        if isfinite(self.losses.last):
            return
        if isfinite(own):
            raise OthersLostError(
                f"the loss of another process is not finite at iteration {self.iter}"
            )
        self._report_not_finite(own)

    def _report_not_finite(self, loss: float) -> NoReturn:
        """Makes the iteration's forward passes again, and looks at every layer.

        Batches and masks are the same.
        """
        self._close_feed()
        self._seed()
        self.carried.put_back(self._held)
        look = partial(
            report_not_finite, self.net, self.module, loss, self.iter, self.file.spans.at("base_lr")
        )
        for _ in range(self.param.iter_size):
            self._train_feed().forward(look)
        raise loss_fault(loss, self.iter, None, self.file.spans.at("base_lr"))

    def _display(self, outputs: dict[str, Tensor]) -> None:
        """Reports the smoothed loss and the outputs, as means over the processes."""
        values = numbers(outputs)
        flat = iter(self.processes.means([number for own in values.values() for number in own]))
        self.listener.displayed(
            self.iter,
            self.losses.smoothed,
            {name: [next(flat) for _ in own] for name, own in values.items()},
            self.lr,
        )

    def solve(self) -> None:
        """Trains up to max_iter, with the tests and snapshots that the solver file asks for."""
        p = self.param
        self.step(max(0, p.max_iter - self.iter))
        if self.loss_scale and self.loss_scale.skipped:
            skipped = f"{self.loss_scale.skipped} of {counted(self.iter, 'update')}"
            self.listener.noted(f"{skipped} skipped: their gradients overflow in fp16")
        if p.snapshot_after_train and not self.processes.broadcast(self.snapshots.has(self.iter)):
            self.snapshot()
        if self.is_stopping:
            return
        loss = None
        # Caffe shows the loss of one more forward pass, without an update
        if p.display and self.iter % p.display == 0:
            self._seed()
            held = self.carried.held()
            with torch.no_grad():
                self.losses.append(self._forward_loss())
            self.losses.agree(self.processes)
            loss = self.losses.smoothed
            self._close_feed()  # further iterations begin with the batch that this pass has used
            self.carried.put_back(held)
        self.listener.finished(self.iter, loss)
        if p.test_interval and self.iter % p.test_interval == 0:
            self.test()

    def _forward_loss(self) -> Tensor:
        # a copy: CUDA graphs write over what they gave
        return self.module.loss(self._train_feed().forward(self.forward_pass)).clone()

    def _is_test_due(self) -> bool:
        p = self.param
        return (
            bool(p.test_interval)
            and self.iter % p.test_interval == 0
            and (self.iter > 0 or p.test_initialization)
        )
