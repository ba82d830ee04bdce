"""`netspec serve NET --weights W`: a trained net over HTTP."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

from netspec.cli.classify import configure_scores, load_classifier
from netspec.cli.detect import configure_threshold, load_detector
from netspec.cli.numbers import finite, port, positive
from netspec.cli.pictures import configure_pictures, configure_weights, picture_options
from netspec.extras import missing_package
from netspec.pipeline import load

_ANSWERS = """
POST a picture, as the body or as a form's file, to /classify, or to /detect where the net finds
boxes; ?top=K or ?threshold=P. GET / is a page to drop a picture on, /health, /metrics (Prometheus).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET", help="the deploy net")
    configure_weights(parser)
    parser.add_argument("--labels", metavar="FILE", help="the names, as for classify or detect")
    configure_scores(parser)
    configure_threshold(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on (default 127.0.0.1: this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=port,
        default=8000,
        metavar="N",
        help="the port to listen on; 0 takes a free one (default 8000)",
    )
    parser.add_argument(
        "--max-wait",
        type=_milliseconds,
        default=2,
        metavar="MS",
        help="milliseconds that a batch which is not full waits for more pictures (default 2)",
    )
    parser.add_argument(
        "--max-mib",
        type=positive,
        default=16,
        metavar="N",
        help="the largest request, in MiB (default 16)",
    )
    parser.add_argument(
        "--max-pixels",
        type=positive,
        default=25_000_000,
        metavar="N",
        help="the largest picture, in pixels (default 25000000)",
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        default=30,
        metavar="S",
        help="seconds per request (default 30)",
    )
    parser.add_argument(
        "--max-requests",
        type=positive,
        default=256,
        metavar="N",
        help="requests worked on at once; more get 503 (default 256)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which others reach the server, such as a proxy's; may be repeated",
    )
    configure_pictures(parser)
    parser.epilog = _ANSWERS


def run(args: argparse.Namespace) -> int:
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise missing_package(package, "netspec serve")
    options = picture_options(args)
    from netspec.serving.server import hosts_of, listen, serve

    with listen(args.host, args.port) as listening:  # before the net takes its time
        from netspec.pytorch.detect import finds_boxes  # torch takes seconds to import
        from netspec.serving.service import Limits, Service

        own = ("level", "stages", "dialect", "allow_python_layers")
        find = finds_boxes(load(args.net, **{name: options[name] for name in own}))
        net = (load_detector if find else load_classifier)(args, args.net)
        limits = Limits(args.max_mib << 20, args.max_pixels, args.timeout, args.max_requests)
        service = Service(net, limits, args.batch, args.max_wait / 1000)
        host = f"[{args.host}]" if ":" in args.host else args.host
        where = f"http://{host}:{listening.getsockname()[1]}{service.endpoint}"
        name = net.pictures.net.name or args.net
        print(f"{name} answers at {where}", file=sys.stderr, flush=True)
        serve(service, listening, hosts_of(args.host, args.allow_host))
    return 0


def _milliseconds(text: str) -> float:
    value = finite(text)
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"must be from 0 to 10000, got '{text}'")
    return value
