"""`netspec deploy NET OUT`: the deploy net of a training net."""

from __future__ import annotations

import argparse
import sys
from typing import cast

from google.protobuf.descriptor import Descriptor

from netspec.atomic import write_atomically
from netspec.cli.overwrite import configure_overwrite
from netspec.cli.state import configure_state, options_of, print_warnings
from netspec.diagnostics import NetspecError, Report
from netspec.files.overwrite import NET, require_own_kind
from netspec.files.paths import resolve_path
from netspec.passes.deploy import deploy, preprocessing
from netspec.passes.upgrade import upgrade
from netspec.pipeline import assemble, load_source, read_text_file
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt
from netspec.syntax.bind import bind
from netspec.syntax.print_yaml import print_yaml
from netspec.syntax.read import YAML_SUFFIXES, parse_source, require_kind
from netspec.syntax.rewrite import rewrite
from netspec.syntax.tree import Block, Field, Scalar


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a train_val.prototxt, YAML by its suffix; or a solver file")
    parser.add_argument("out", help="the deploy net to write, prototxt or YAML by its suffix")
    parser.add_argument(
        "--solver", action="store_true", help="the first file is a solver: its train net is meant"
    )
    configure_state(parser)
    configure_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    path = _train_net(args.net) if args.solver else args.net
    block = deploy_tree(path, args)
    if args.out.endswith(YAML_SUFFIXES):
        descriptor = cast(Descriptor, caffe_pb2.NetParameter.DESCRIPTOR)
        text = print_yaml(block, descriptor)
    else:
        text = prototxt.print_tree(block)
    require_own_kind(args.out, NET, overwrite=args.overwrite)
    write_atomically(args.out, text.encode(errors="surrogateescape"))
    return 0


def _train_net(path: str) -> str:
    from netspec.solver.solver_file import load_solver

    file = load_solver(path)
    source = file.train_net
    if source.path is None:
        raise NetspecError("the net stands inside the solver file", source.span, "name its file")
    return resolve_path(source.path, path)


def deploy_tree(path: str, args: argparse.Namespace) -> Block:
    """The tree of the deploy net, with the comments of the file. Raises: NetspecError."""
    source = read_text_file(path)
    block = parse_source(source)
    require_kind(block, source.path, caffe_pb2.NetParameter)
    options, report = options_of(args, require_shapes=False), Report()
    load_source(source, options, report)  # what is wrong in the net is reported as everywhere
    message, report = caffe_pb2.NetParameter(), Report()
    spans = bind(block, message, report)
    before = caffe_pb2.NetParameter()
    before.CopyFrom(message)
    upgrade(message, spans, report)
    state = caffe_pb2.NetState()
    state.CopyFrom(message.state)
    state.MergeFrom(options.state)
    net = assemble(message, spans, state, report, options)
    report.raise_errors()
    print_warnings(report)
    records = {layer.name: preprocessing(layer) for layer in net.layers if layer.tops}
    sources = {layer.name for layer in net.layers if layer.name in records and not layer.bottoms}
    left_out = deploy(message, spans, net)
    if left_out:
        names = ", ".join(f"'{name}'" for name in left_out)
        print(f"left out, for they count less than another loss: {names}", file=sys.stderr)
    made = rewrite(block, before, message, spans)
    for field in made.fields:
        name = _name_of(field)
        if name in sources and records[name]:
            field.comments.append(records[name])
    return made


def _name_of(field: Field) -> str:
    if field.name != "layer" or not field.values or not isinstance(field.values[0], Block):
        return ""
    inner = next((each for each in field.values[0].fields if each.name == "name"), None)
    value = inner.values[0] if inner is not None and inner.values else None
    return value.text if isinstance(value, Scalar) else ""
