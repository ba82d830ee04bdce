"""What an export writes: a module, what it is compared with, and on which inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import NetspecError, counted
from netspec.exporters.differences import relative_difference
from netspec.exporters.half_layers import half_layers
from netspec.exporters.image_input import ImageInput
from netspec.pytorch.blob_values import blob_values
from netspec.pytorch.follow_values import choosing_layers, follow_values
from netspec.pytorch.half import half_module
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule

TOLERANCE = 1e-4  # the largest difference, relative to the largest value of an output
HALF_TOLERANCE = 2e-2  # the same in half precision, of which ten bits are behind the point
_SEED = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What is written, and the module that its values are compared with."""

    module: NetModule
    reference: NetModule
    is_half: bool = False
    image: ImageInput | None = None

    @property
    def tolerance(self) -> float:
        """Of a difference, relative to the largest value."""
        return HALF_TOLERANCE if self.is_half else TOLERANCE

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be said of it."""
        notes = [] if self.image is None else [*self.image.notes]
        if self.is_half:
            net = net_of(self.module)
            count = len(half_layers(net))
            notes.append(
                f"half precision in {count} of {counted(len(net.layers), 'layer')}; "
                f"the difference may be {self.tolerance:g}, not {TOLERANCE:g}"
            )
        return tuple(notes)

    def feed(self, least: int = 1) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Random inputs of what is written, and what of them the module takes.

        Args:
            least: items of a batch.
        """
        inputs = random_inputs(self.module)
        if self.image is None:
            sizes = {value.shape[0] for value in inputs.values() if value.dim()}
            times = least if sizes == {1} else 1
            many = {n: v.repeat(times, *[1] * (v.dim() - 1)) for n, v in inputs.items() if v.dim()}
            given = {**inputs, **many}
            return given, given
        images = self.image.random(max(least, inputs[self.image.blob].shape[0]))
        prepared = torch.from_numpy(self.image.prepared(images))
        return {self.image.name: torch.from_numpy(images)}, {self.image.blob: prepared}

    def run(self) -> NetModule:
        """The module that computes what is written."""
        return half_module(self.module) if self.is_half else self.module

    def compare(self, module: NetModule, inputs: dict[str, Tensor], what: str) -> dict[str, float]:
        """How far a module's outputs differ. Raises: NetspecError where that is too much."""
        net = net_of(module)
        got = module_values(module, inputs)
        if not choosing_layers(net):
            return self.compare_values(got, module_values(self.reference, inputs), what)
        theirs = blob_values(net, module, {name: value.numpy() for name, value in inputs.items()})
        wanted, chosen, _ = follow_values(self.reference, net, inputs, theirs, self.tolerance, what)
        differences = self.compare_values(got, wanted, what)
        return {name: chosen.get(name, each) for name, each in differences.items()}

    def compare_values(
        self, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], what: str
    ) -> dict[str, float]:
        """How far each output differs. Raises: NetspecError where that is too much."""
        differences = {
            name: relative_difference(got[name], value) for name, value in wanted.items()
        }
        for name, difference in differences.items():
            if not difference <= self.tolerance:
                raise NetspecError(
                    f"the {what} '{name}' differs from the module's by {difference:.1e} of its "
                    f"largest value, more than {self.tolerance:g}; nothing was written"
                )
        return differences


def random_inputs(module: NetModule) -> dict[str, Tensor]:
    """Values in [0, 1) for every input, in the shapes that the net declares."""
    generator = torch.Generator().manual_seed(_SEED)
    shapes = module.about.input_shapes
    return {name: torch.rand(shapes[name], generator=generator) for name in module.input_names}


def module_values(module: NetModule, inputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The module's outputs on the CPU, as arrays."""
    device = next((value.device for value in module.state_dict().values()), torch.device("cpu"))
    with torch.no_grad():
        outputs = module(**{name: value.to(device) for name, value in inputs.items()})
    return {name: value.cpu().numpy() for name, value in outputs.items()}
