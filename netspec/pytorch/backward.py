"""The backward pass of a net's loss, in one process or in several."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netspec.pytorch.compiled_pass import raise_compile_fault
from netspec.pytorch.module import NetModule
from netspec.pytorch.processes import Processes, data_parallel, is_loss_of_others, lost


class Backward:
    """Adds to the gradients of a net's params.

    After the last part of an iteration they are the mean over the processes.
    """

    def __init__(self, module: NetModule, processes: Processes) -> None:
        self.module, self.processes = module, processes
        # made at the first pass, which shows which params it reaches
        self._objective: nn.Module | None = None

    def run(self, outputs: dict[str, Tensor], is_last: bool, scale: float = 1.0) -> Tensor:
        """The loss of a forward pass, after its backward pass.

        Args: scale: a factor on the gradients, not on the loss that is returned.
        Raises: OthersLostError; NetspecError where torch.compile fails, which compiles the backward
            pass when it first runs.
        """
        if self._objective is None:
            self._objective = data_parallel(self.module, outputs, self.processes)
        if isinstance(self._objective, DistributedDataParallel):
            self._objective.require_backward_grad_sync = is_last  # as its no_sync() does
        loss: Tensor = self._objective(outputs)
        if not loss.requires_grad:
            return loss
        try:
            (loss if scale == 1 else loss * scale).backward()
        except RuntimeError as error:
            if self.processes.count > 1 and is_loss_of_others(error):
                raise lost(error) from None
            raise_compile_fault(error)
            raise
        return loss.detach()
