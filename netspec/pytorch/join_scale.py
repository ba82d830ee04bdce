"""BatchNorm and the Scale behind it in one kernel, for training.

Scale's params become those of the normalisation's kernel, forward and backward; they stay where
they are, and so does all that a snapshot holds.
"""

from __future__ import annotations

from torch import fx

from netspec.pytorch.layers.arithmetic import Scale
from netspec.pytorch.layers.normalization import BatchNorm
from netspec.pytorch.module import NetModule


def join_scales(module: NetModule) -> int:
    """Gives each BatchNorm the params of the Scale that alone reads its top; returns their number.

    The BatchNorm's top is then computed no more. A Scale of two bottoms, of other axes than the
    channels', or whose params another layer shares stays.
    """
    about, joined = module.about, 0
    for node in [*module.graph.nodes]:
        norm = _joinable_norm(module, node)
        if norm is None:
            continue
        with module.graph.inserting_before(node):
            params = [module.graph.get_attr(f"{node.target}.weight")]
            if module.get_submodule(str(node.target)).bias is not None:
                params.append(module.graph.get_attr(f"{node.target}.bias"))
            made = module.graph.call_module(str(norm.target), (norm.args[0], *params))
        node.replace_all_uses_with(made)
        name = node.name
        for gone in (node, norm):
            module.graph.erase_node(gone)
        made.name = name  # by which the module knows Scale's top
        about.tops[about.order.index(str(norm.target))] = []
        joined += 1
    if joined:
        module.recompile()
    return joined


def _joinable_norm(module: NetModule, node: fx.Node) -> fx.Node | None:
    """The BatchNorm that a node scales, where one kernel can do both."""
    if node.op != "call_module" or len(node.args) != 1:
        return None
    scale, norm = module.get_submodule(str(node.target)), node.args[0]
    if type(scale) is not Scale or not isinstance(norm, fx.Node) or norm.op != "call_module":
        return None
    before = module.get_submodule(str(norm.target))
    fits = (
        isinstance(before, BatchNorm)
        and len(norm.users) == 1
        and scale.axis == 1
        and scale.weight is not None
        and scale.weight.shape == before.mean.shape
        and (scale.bias is None or scale.bias.shape == before.mean.shape)
    )
    return norm if fits else None
