"""`netspec export NET OUT`: a net and its weights for another program."""

from __future__ import annotations

import argparse
import os

from netspec.cli.overwrite import configure_overwrite
from netspec.cli.state import configure_state, load_net, name_list
from netspec.cli.weight_choice import choice_of, configure_choice
from netspec.diagnostics import NetspecError
from netspec.files.overwrite import require_own_kind

_FORMATS = """
The suffix of OUT says the format:
  .onnx                a node a layer, with the layers' and blobs' names; checked against the module
  .py                  a class that imports torch alone, its weights beside it as .safetensors
  .pt2                 torch.export
  .pt                  a state_dict
  .caffemodel, .h5, .safetensors, .npz
                       the weights alone
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    parser.add_argument("out", help="the file to write")
    parser.add_argument(
        "--weights", metavar="FILE", action="append", default=[], help="may be repeated"
    )
    parser.add_argument(
        "--outputs",
        type=name_list,
        metavar="A,B",
        help="the blobs that the exported net gives; layers that lead to none are left out",
    )
    configure_choice(parser)
    configure_state(parser)
    configure_overwrite(parser)
    parser.epilog = _FORMATS


def run(args: argparse.Namespace) -> int:
    choice = choice_of(args)
    if choice.names and not args.weights:
        raise NetspecError("--rename and --skip-layer go with --weights")
    if not args.overwrite:
        written = [args.out] if args.out.endswith((".onnx", ".py", ".pt2", ".pt")) else []
        if args.out.endswith(".py"):
            written.append(args.out.removesuffix(".py") + ".safetensors")
        for path in written:
            if os.path.exists(path):
                raise NetspecError(f"'{path}' already exists", None, "--overwrite writes over it")
        require_own_kind(args.out)
    net = load_net(args.net, args)
    from netspec.pytorch.export import export  # torch takes seconds to import

    print(export(net, args.out, args.weights or None, args.outputs, choice=choice))
    return 0
