"""The loss scale of training in fp16, whose smallest gradients would vanish without one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netspec.diagnostics import ERROR, Diagnostic, NetspecError, Span, note
from netspec.graph import Layer, Net
from netspec.hint import Hint
from netspec.layers import find_spec
from netspec.passes.plan_backward import plan_backward
from netspec.pytorch.module import NetModule
from netspec.pytorch.not_finite import all_finite

# GradScaler's defaults
INITIAL_SCALE = 2.0**16
GROWTH_INTERVAL = 2000  # updates in a row after which the scale doubles
# where fp16's normal numbers end, and well inside fp32: GradScaler knows no such bounds
SMALLEST_SCALE, LARGEST_SCALE = 2.0**-14, 2.0**96
WITHOUT_SCALE = "--precision bf16 has the range of fp32, and needs no loss scale"


class LossScale:
    """A factor on the loss, which an iteration's gradients are divided by before the update.

    Where they overflow, the update is skipped and the scale halves; after GROWTH_INTERVAL updates
    in a row it doubles. All are powers of two, so that scaling rounds nothing. Several processes
    see the same mean gradients, and so decide alike.

    Source: torch.amp.GradScaler.
    """

    def __init__(self) -> None:
        self.scale = INITIAL_SCALE
        self.good_steps = 0  # updates since the scale last changed
        self.skipped = 0  # updates of the run

    @torch.no_grad()
    def unscale(self, grads: Sequence[Tensor]) -> bool:
        """Divides gradients by the scale in place; returns False where one is not finite."""
        if grads:
            torch._foreach_mul_(list(grads), 1 / self.scale)
        return all_finite(grads)

    def grow(self) -> None:
        """Counts an update."""
        self.good_steps += 1
        if self.good_steps >= GROWTH_INTERVAL:
            self.scale, self.good_steps = min(self.scale * 2, LARGEST_SCALE), 0

    def back_off(self) -> None:
        """Counts a skipped update."""
        self.skipped += 1
        self.scale, self.good_steps = self.scale / 2, 0

    @property
    def is_exhausted(self) -> bool:
        """Whether the scale is so small that it is not what makes gradients overflow."""
        return self.scale < SMALLEST_SCALE

    @property
    def state(self) -> dict[str, float]:
        """What a snapshot keeps of it."""
        return {"scale": self.scale, "good_steps": self.good_steps, "skipped": self.skipped}

    @state.setter
    def state(self, state: dict[str, float]) -> None:
        self.scale = float(state["scale"])
        self.good_steps, self.skipped = int(state["good_steps"]), int(state["skipped"])


def loss_scale_of(net: Net, precision: str) -> LossScale | None:
    """The loss scale of a run that begins; None where the precision needs none.

    Raises: NetspecError where a layer's gradients would not be multiplied by it.
    """
    if precision != "fp16":
        return None
    for layer in net.layers:
        spec = find_spec(layer.spec_name)
        if spec is not None and not spec.passes_scale(layer) and _goes_backward(net, layer):
            raise NetspecError(
                f"precision fp16: {layer.label} ({layer.type}) may not multiply its gradients by "
                "the loss scale",
                layer.span,
                WITHOUT_SCALE,
            )
    return LossScale()


def _goes_backward(net: Net, layer: Layer) -> bool:
    plan = plan_backward(net.layers, net.force_backward)
    return layer in plan.learning or any(other is layer for other, _ in plan.passing)


def gradient_fault(
    net: Net, module: NetModule, iteration: int, base_lr: Span | None
) -> NetspecError:
    """The error to raise for gradients that are not finite at any loss scale."""
    fault = Diagnostic(
        ERROR,
        f"the gradients are not finite at iteration {iteration}, whatever the loss scale: "
        "the run stops, its snapshots stand",
        base_lr,
        Hint(WITHOUT_SCALE),
    )
    for layer, blobs in reversed([*zip(net.layers, module.layer_params, strict=True)]):
        if not all_finite([blob.grad for blob in blobs if blob.grad is not None]):
            fault.notes.append(
                note(
                    f"{layer.label} ({layer.type}) is the last whose params have such gradients",
                    layer.span,
                )
            )
            break
    return NetspecError(fault)
