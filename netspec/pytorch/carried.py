"""What the nets of a run carry over from one forward pass to the next.

These are the states of their LSTM and RNN layers.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.pytorch.layers.recurrent import Recurrent
from netspec.weights.carried_states import PackedStates, pack_states, unpack_states

# a layer keeps each new state as a new tensor, so the old ones stay what they are
Held = dict[str, Tensor]


class Carried:
    """The carried states of nets, each under the name NET/LAYER.STATE."""

    def __init__(self, nets: Mapping[str, nn.Module]) -> None:
        self._layers = {
            f"{net}/{name}": layer
            for net, module in nets.items()
            for name, layer in module.named_modules()
            if isinstance(layer, Recurrent) and layer.carried
        }

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._layers)

    def held(self) -> Held:
        """The states as they are now."""
        return {
            f"{name}.{state}": getattr(layer, state)
            for name, layer in self._layers.items()
            for state in layer.carried
        }

    def put_back(self, held: Held) -> None:
        """Makes the states those that were held; any other stays."""
        for name, layer in self._layers.items():
            for state in layer.carried:
                if f"{name}.{state}" in held:
                    setattr(layer, state, held[f"{name}.{state}"])

    def reset(self) -> None:
        """Makes every state 0."""
        self.put_back({name: torch.zeros_like(state) for name, state in self.held().items()})

    def take_up(self, packed: PackedStates, path: object) -> None:
        """Makes the states those of a snapshot. A net or layer that it does not know begins at 0.

        Raises: NetspecError where one is another layer's.
        """
        self.reset()
        now, found = self.held(), {}
        for name, array in unpack_states(packed).items():
            own = now.get(name)
            if own is None:
                continue
            if array.shape[1:] != tuple(own.shape[1:]):  # the number of streams may have grown
                message = (
                    f"'{path}' is the state of another net: '{name}' is {shape_text(array.shape)}, "
                    f"here {shape_text(tuple(own.shape))}"
                )
                raise NetspecError(
                    message,
                    None,
                    "restore it with the net that wrote it, or begin with its weights: --weights",
                )
            found[name] = torch.tensor(array, dtype=own.dtype, device=own.device)
        self.put_back(found)


def packed(held: Held) -> PackedStates:
    """Held states as a companion has them."""
    return pack_states(
        {name: state.detach().to("cpu", torch.float32).numpy() for name, state in held.items()}
    )
