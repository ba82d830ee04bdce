"""What the scripts in tools/ share: a run that reports errors as the commands do, flags."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netspec.cli.numbers import finite
from netspec.cli.streams import guarded
from netspec.cli.terminal import show
from netspec.diagnostics import NetspecError
from netspec.signals import interrupted_status

if TYPE_CHECKING:
    from netspec.pytorch.classify import Classifier


def run_tool(run: Callable[[], int]) -> int:
    """Runs a tool and returns its exit status: 0 fine, 1 errors, 2 usage."""
    return guarded(lambda: _reported(run))


def _reported(run: Callable[[], int]) -> int:
    try:
        return run()
    except NetspecError as error:
        show(error.diagnostics)
        return 1
    except KeyboardInterrupt as error:
        return interrupted_status(error)


def configure_classifier(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that Caffe's classify.py and detect.py share."""
    parser.add_argument("--model_def", required=True, help="the deploy net")
    parser.add_argument("--pretrained_model", required=True, help="its weights")
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")
    parser.add_argument(
        "--mean_file", help="an .npy or .binaryproto; '' for none (default: as the net's file says)"
    )
    parser.add_argument("--input_scale", type=finite, help="factor after the mean is subtracted")
    parser.add_argument(
        "--raw_scale", type=finite, default=255.0, help="what white is (default 255)"
    )
    parser.add_argument(
        "--channel_swap",
        default="2,1,0",
        choices=["2,1,0", "0,1,2"],
        help="2,1,0 is B, G, R (default), 0,1,2 R, G, B",
    )
    parser.add_argument("--overwrite", action="store_true", help="write over a file that exists")


def load_classifier(args: argparse.Namespace, **options: Any) -> Classifier:
    """The net as those flags ask for it. Args: options: further ones of Classifier."""
    from netspec.pytorch.classify import Classifier  # torch takes seconds to import

    said = {
        **options.pop("said", {}),
        "scale": args.input_scale,
        "raw_scale": args.raw_scale,
        "channel_order": "BGR" if args.channel_swap == "2,1,0" else "RGB",
        "mean_file": args.mean_file,
    }
    device = "cuda:0" if args.gpu else "cpu"
    return Classifier(args.model_def, args.pretrained_model, said=said, device=device, **options)
