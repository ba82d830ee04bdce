"""`netspec dataset preview NET OUT`: records before and after the transformation."""

from __future__ import annotations

import argparse
from pathlib import Path

from netspec.cli.numbers import positive, signed
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.state import configure_state, load_net
from netspec.diagnostics import NetspecError

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def configure_preview(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net_file", metavar="NET", help="a prototxt, or YAML by its suffix")
    parser.add_argument("out", metavar="OUT", help="the picture to write, .png or .jpg")
    parser.add_argument(
        "--layer", metavar="NAME", help="the data layer (default: the first one of images)"
    )
    parser.add_argument(
        "--count", type=positive, default=8, metavar="N", help="how many records (default 8)"
    )
    parser.add_argument(
        "--seed", type=signed, default=1, metavar="N", help="of what is drawn (default 1)"
    )
    configure_state(parser, phase="TRAIN")
    configure_overwrite(parser)


def preview(args: argparse.Namespace) -> int:
    from netspec.atomic import write_atomically
    from netspec.draw.sheet import draw_sheet
    from netspec.files.overwrite import require_own_picture
    from netspec.readers.preview import image_layer, previewed

    suffix = Path(args.out).suffix.lower()
    if suffix not in _FORMATS:
        raise NetspecError(f"'{args.out}' must end in .png, .jpg or .jpeg")
    require_own_picture(args.out, args.overwrite)
    net = load_net(args.net_file, args, require_shapes=False)
    layer = image_layer(net, args.layer)
    shown = previewed(net, args.layer, args.count, args.seed)
    title = f"{args.net_file}, layer '{layer.name}', phase {net.phase}, seed {args.seed}"
    write_atomically(args.out, draw_sheet(shown, title, _FORMATS[suffix]))
    print(f"{args.out}: {len(shown)} records of layer '{layer.name}' before and after")
    return 0
