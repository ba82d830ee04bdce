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
  .onnx                a node for each layer, with the layers' and blobs' names; checked
                       against the module
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
        "--weights",
        metavar="FILE",
        action="append",
        default=[],
        help="the net's weights; may be repeated",
    )
    parser.add_argument(
        "--outputs",
        type=name_list,
        metavar="A,B",
        help="the blobs that the exported net gives; layers that lead to none are left out",
    )
    parser.add_argument(
        "--fold-batchnorm",
        action="store_true",
        help="fold BatchNorm, Scale and Bias layers into those with weights; a file of weights "
        "has the folded net as a prototxt beside it",
    )
    parser.add_argument(
        "--half",
        action="store_true",
        help="weights and computation in half precision (.onnx, .pt2, .pt, .safetensors)",
    )
    parser.add_argument(
        "--with-preprocess",
        action="store_true",
        help="the graph (.onnx, .pt2) takes RGB pictures, 0 to 255: channel order, centre crop, "
        "mean and scale are part of it, as the net's comment '# netspec: preprocess' says",
    )
    parser.add_argument(
        "--uint8",
        action="store_true",
        help="the pictures of --with-preprocess are bytes, not numbers of single precision",
    )
    configure_choice(parser)
    configure_state(parser)
    configure_overwrite(parser)
    parser.epilog = _FORMATS


def run(args: argparse.Namespace) -> int:
    if args.uint8 and not args.with_preprocess:
        raise NetspecError("--uint8 goes with --with-preprocess")
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
    from netspec.pytorch.export import export, folded_net_path  # torch takes seconds to import

    beside = folded_net_path(args.out) if args.fold_batchnorm else None
    if beside and beside.exists() and not args.overwrite:
        raise NetspecError(f"'{beside}' already exists", None, "--overwrite writes over it")
    settings = (args.fold_batchnorm, args.half, args.with_preprocess, args.uint8)
    print(export(net, args.out, args.weights or None, args.outputs, *settings, choice=choice))
    return 0
