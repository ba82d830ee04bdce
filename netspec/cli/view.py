"""`netspec view NET`: the net's page in the browser, redrawn when the file is saved."""

from __future__ import annotations

import argparse
import threading
import webbrowser

from netspec.cli.numbers import port
from netspec.cli.page import configure_input, configure_look, configure_page, page_of
from netspec.cli.state import configure_level
from netspec.diagnostics import NetspecError, Report, os_reason
from netspec.draw.load_phases import PHASES
from netspec.page.load_page import Page, page_or_faults
from netspec.page.serve_page import HOST, PageServer


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    parser.add_argument(
        "--port",
        type=port,
        default=0,
        metavar="N",
        help="the port on 127.0.0.1 (default: any that is free)",
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address, open no browser"
    )
    parser.add_argument("--phase", type=str.upper, choices=PHASES, default="ALL")
    configure_level(parser)
    configure_input(parser)
    configure_look(parser, ("light", "dark"))
    configure_page(parser)


def run(args: argparse.Namespace) -> int:
    def load() -> Page:
        return page_or_faults(args.net, lambda: page_of(args, Report(), draws_faulty=False))

    page = load()
    sketch = page
    if page.data is None:  # drawn as far as it goes, until the file is mended
        sketch = page_or_faults(args.net, lambda: page_of(args, Report()), takes_faulty=True)
    if not page.text:
        page_of(args, Report())  # raises what is wrong with the file
    try:
        server = PageServer(args.net, load, args.port, sketch)
    except OSError as error:
        reason = os_reason(error)
        raise NetspecError(f"port {args.port} of {HOST} can't be used: {reason}") from None
    print(f"{server.url} shows '{args.net}'; Ctrl-C ends", flush=True)
    threading.Thread(target=server.watch, daemon=True).start()
    if not args.no_browser:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.close()
    return 0
