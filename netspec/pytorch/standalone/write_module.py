"""A compiled net as the text of a Python file that imports torch alone."""

from __future__ import annotations

import os
import re

from torch import Tensor, nn

import netspec
from netspec.diagnostics import NetspecError
from netspec.exporters.not_exported import NOT_IN_PYTHON, not_exported
from netspec.graph import Layer, Net, shape_text
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule, _Enter, blobs_of
from netspec.pytorch.standalone.constructor import constructor, float_text, quoted
from netspec.pytorch.standalone.definitions import Definitions
from netspec.pytorch.standalone.forward import ForwardText
from netspec.pytorch.standalone.layout import import_lines, signature, wrapped

_LOAD = '''
WEIGHTS = Path(__file__).with_suffix(".safetensors")


def load(path: str | Path = WEIGHTS) -> {name}:
    """The net with the weights of a safetensors file, {mode_words}."""
    net = {name}()
    net.load_state_dict(read_safetensors(path))
    return net.{mode}()


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """A safetensors file: the length of its header, the header as JSON, then the numbers."""
    data = bytearray(Path(path).read_bytes())
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    numbers, tensors = memoryview(data)[8 + length :], {{}}
    for key, entry in header.items():
        start, end = entry["data_offsets"]
        dtype = {{"F32": torch.float32, "F16": torch.float16}}[entry["dtype"]]
        part = numbers[start:end] or bytearray(4)  # torch refuses a buffer of no bytes
        values = torch.frombuffer(part, dtype=dtype)[: (end - start) // dtype.itemsize]
        tensors[key] = values.to(torch.float32).reshape(entry["shape"])
    return tensors
'''


def module_text(module: NetModule) -> str:
    """The file's text.

    Raises: NetspecError for a layer that can't stand in a file without the package.
    """
    net = net_of(module)
    name = _class_name(net)
    definitions = Definitions({name, "WEIGHTS", "load", "read_safetensors", "json", "Path"})
    for line in (
        "import json",
        "from pathlib import Path",
        "import torch",
        "from torch import Tensor",
    ):
        definitions.use(line)
    definitions.use("from torch import nn")
    forward = ForwardText(module, net, definitions)
    forward.write()
    made = _submodules(module, net, list(forward.called), definitions)
    objective = _objective(module, forward, definitions)
    arguments = ", ".join(["self", *(f"{forward.values[node]}: Tensor" for node in forward.inputs)])
    returned = "Tensor" if len(forward.outputs) == 1 else "dict[str, Tensor]"
    body = [
        f"class {name}(nn.Module):",
        *_class_docstring(module, net),
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        *(line for text in made for line in wrapped(f"        {text}")),
        "",
        *signature(f"    def forward({arguments})", f" -> {returned}:"),
        *forward.lines,
        *objective,
    ]
    mode = "eval" if net.phase == "TEST" else "train"
    words = "ready for inference" if net.phase == "TEST" else "ready for training"
    load = _LOAD.format(name=name, mode=mode, mode_words=words)
    parts = [*definitions.numbers, *definitions.texts, "\n".join(body) + "\n", load.lstrip("\n")]
    head = [*_docstring(net, name), "", "from __future__ import annotations", ""]
    text = "\n\n".join(parts)
    gap = [""] * (2 if text.startswith(("class ", "def ", "@")) else 1)
    return "\n".join([*head, *import_lines(definitions.imports), *gap, text])


def _class_name(net: Net) -> str:
    """The net's name as a class's: 'bvlc-alexnet' → BvlcAlexnet."""
    words = re.findall(r"[A-Za-z0-9]+", net.name)
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name and not name[0].isdigit() else f"Net{name}"


def _docstring(net: Net, name: str) -> list[str]:
    source = f", from {_printable(os.path.basename(net.path))}" if net.path else ""
    return [
        f'"""{name}, phase {net.phase}{source}.',
        "",
        f"Written by netspec {netspec.__version__}. It needs torch alone; its weights stand in the",
        ".safetensors file of its name:",
        "",
        "    net = load()",
        '"""',
    ]


def _class_docstring(module: NetModule, net: Net) -> list[str]:
    about = module.about
    shapes = [(name, about.input_shapes.get(name)) for name in about.input_names]
    inputs = ", ".join(
        f"{_printable(n)} {shape_text(s) if s is not None else '?'}" for n, s in shapes
    )
    outputs = ", ".join(
        f"{_printable(n)} {shape_text(net.blob(n).shape or ())}" for n in about.output_names
    )
    return [f'    """Takes {inputs}.', "", f"    Gives {outputs}.", '    """']


def _is_scalar(forward: ForwardText, key: str) -> bool:
    layer, top = forward.blobs[forward.outputs[key].name]
    return layer.top_blobs[top].shape == ()


def _printable(text: str) -> str:
    """A name within a docstring: nothing of it can end the text."""
    return "".join(c if c.isprintable() and c not in '\\"' else "_" for c in text)


def _submodules(
    module: NetModule, net: Net, called: list[str], definitions: Definitions
) -> list[str]:
    """The statements that make the submodules, and share and freeze their params."""
    layers = dict(zip(module.about.order, net.layers, strict=True))
    submodules = {target: module.get_submodule(target) for target in called}
    lines = _memories(submodules, definitions)
    for target, submodule in submodules.items():
        layer = layers[target]
        if layer.type in NOT_IN_PYTHON:
            raise not_exported(layer, NOT_IN_PYTHON[layer.type])
        try:
            lines.append(f"self.{target} = {constructor(submodule, definitions)}")
        except NetspecError as error:
            raise not_exported(layer, error.diagnostics[0].message) from None
        lines += [
            f"self.{target}.register_forward_hook({definitions.objects[id(hook)]})"
            for hook in submodule._forward_hooks.values()
        ]
    for target, submodule in submodules.items():
        lines += _params(module, layers, target, submodule)
    return lines


def _memories(submodules: dict[str, nn.Module], definitions: Definitions) -> list[str]:
    """Makes what in-place layers leave for the gradients of those before them."""
    lines = []
    for target, submodule in submodules.items():
        for hook in submodule._forward_hooks.values():
            name = definitions.objects[id(hook)] = f"left_by_{target}"
            lines.append(f"{name} = {definitions.add(type(hook))}()")
    return lines


def _params(
    module: NetModule, layers: dict[str, Layer], target: str, submodule: nn.Module
) -> list[str]:
    """Params of other shapes than the constructor's, those of other layers, and frozen ones."""
    lines = []
    names = {id(blob): name for name, blob in submodule.named_parameters(remove_duplicate=False)}
    for param, blob in zip(layers[target].params, blobs_of(submodule), strict=True):
        name = names.get(id(blob))
        if isinstance(submodule, nn.PReLU) and not param.shape:
            lines.append(f"self.{target}.weight = nn.Parameter(torch.empty(()))  # of all channels")
        if param.owner is not None:
            lines.append(f"self.{target}.{name} = self.{_owner(module, blob)}")
        elif module.about.loss_weights and param.learned and param.lr_mult == 0:
            lines.append(f"self.{target}.{name}.requires_grad_(False)  # lr_mult: 0")
    return lines


def _owner(module: NetModule, blob: Tensor) -> str:
    """The first submodule's param that is this tensor."""
    return next(name for name, other in module.named_parameters() if other is blob)


def _objective(module: NetModule, forward: ForwardText, definitions: Definitions) -> list[str]:
    """A method for the sum that training minimizes, where it is not the only output."""
    about = module.about
    keys = {key: weight for key, weight in about.loss_weights.items() if key in forward.outputs}
    if not keys or (list(forward.outputs) == list(keys) == [*keys][:1] and 1 in keys.values()):
        return []
    terms = []
    for key, weight in keys.items():
        term = f"outputs[{quoted(key)}]" + (".detach()" if key in about.silent else "")
        term += "" if _is_scalar(forward, key) else ".sum()"
        terms.append(term if weight == 1 else f"{float_text(weight)} * {term}")
    lines = [f"total = {terms[0]}", *(f"total = total + {term}" for term in terms[1:])]
    for key, weight in about.entries.items():
        enter = definitions.add(_Enter)
        lines.append(f"total = {enter}.apply(total, outputs[{quoted(key)}], {float_text(weight)})")
    return [
        "",
        "    def objective(self, outputs: dict[str, Tensor]) -> Tensor:",
        '        """What training minimizes: the sum of the losses by their loss_weight."""',
        *(f"        {line}" for line in [*lines, "return total"]),
    ]
