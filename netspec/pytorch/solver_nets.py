"""The nets of a solver file, each for its state, and what is known of a run when it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from netspec.layers import batched_param, find_spec
from netspec.listener import RunInfo
from netspec.options import NetOptions
from netspec.passes.count_cost import param_count
from netspec.pytorch.compiled_pass import CompiledPass
from netspec.pytorch.detection_eval import evaluated_outputs
from netspec.pytorch.module import NetModule
from netspec.readers.batches import dataset_size
from netspec.schema import caffe_pb2
from netspec.solver.evaluation import evaluation_of
from netspec.solver.run_options import Overrides
from netspec.solver.solver_file import SolverFile
from netspec.solver.solver_net import load_solver_net
from netspec.weights.retention import Retention

if TYPE_CHECKING:
    from netspec.pytorch.train import Solver


def load_train_net(
    file: SolverFile, overrides: Overrides, processes: int, options: NetOptions
) -> Net:
    """The net to train, for one of the processes. Raises: NetspecError."""
    report, share = Report(), processes if overrides.global_batch else 1
    options = replace(options, level=overrides.level, stages=tuple(overrides.stages))
    net = load_solver_net(file.train_net, file, report, options, overrides.batch_size, share)
    if share > 1:
        _check_divisible(net, report)
    return _checked(net, processes, report, options)


def load_test_nets(
    file: SolverFile, overrides: Overrides, processes: int, options: NetOptions
) -> list[Net]:
    """The nets to test. The command line's level and stages are the train net's alone, as in Caffe.

    Raises: NetspecError.
    """
    nets = []
    for source in file.test_nets:
        report = Report()
        net = load_solver_net(source, file, report, options, overrides.batch_size)
        _check_evaluated(net, file, report)
        nets.append(_checked(net, processes, report, options))
    return nets


def _check_evaluated(net: Net, file: SolverFile, report: Report) -> None:
    """Detections have no mean, and without them there is no average precision."""
    evaluated, place = evaluated_outputs(net), file.spans.at("eval_type")
    if evaluation_of(file.message) is None:
        for name in evaluated:
            report.error(
                f"the output '{name}' lists detections, of which there is no mean over batches",
                net.blob(name).span,
                'eval_type: "detection" in the solver computes their mean average precision',
            )
    elif not evaluated:
        report.error(
            "eval_type 'detection' needs an output of a DetectionEvaluate layer, got "
            + (", ".join(f"'{name}'" for name in net.outputs) or "no output"),
            place,
        )


def _checked(net: Net, processes: int, report: Report, options: NetOptions) -> Net:
    for layer in net.layers if processes > 1 else ():
        if layer.type == "HDF5Output":
            hint = "train in one process, or leave the layer out"
            report.error(
                f"{layer.label}: several processes can't write one file",
                layer.spans.at("type"),
                hint,
            )
    report.raise_errors(options.strict)
    return net


def _check_divisible(net: Net, report: Report) -> None:
    source = net.blobs[net.sources[0]].producer if net.sources else None
    if source is not None and batched_param(source.message) is None:
        hint = "without --global-batch each process has this batch"
        report.error(
            f"{source.label}: --global-batch can't divide the batch of a "
            f"layer of type {source.type}",
            source.spans.at("type"),
            hint,
        )


def learnable(net: Net, module: NetModule) -> tuple[list[Tensor], list[tuple[float, float]]]:
    """Every owned blob in Caffe's order, with its multipliers."""
    blobs, multipliers = [], []
    for layer, layer_blobs in zip(net.layers, module.layer_params, strict=True):
        for param, blob in zip(layer.params, layer_blobs, strict=True):
            if param.owner is None:
                blobs.append(blob)
                multipliers.append((param.lr_mult, param.decay_mult))
    return blobs, multipliers


def aim_retention(retention: Retention, test_nets: list[Net]) -> Retention:
    """Finds out whether more or less of the metric of --keep-best is better.

    Raises: NetspecError where no test net has such an output.
    """
    if retention.keep_best is None:
        return retention
    given = retention.keep_best
    retention.keep_best, _, direction = given.partition(":")
    if direction not in ("", "max", "min"):
        raise NetspecError(f"--keep-best '{given}': expected 'max' or 'min' after the colon")
    net = next((net for net in test_nets if retention.keep_best in net.outputs), None)
    if net is None:
        names = ", ".join(dict.fromkeys(f"'{name}'" for net in test_nets for name in net.outputs))
        hint = f"its test nets give {names}" if names else "the solver has no test net"
        raise NetspecError(
            f"--keep-best '{retention.keep_best}' is not an output of a test net", None, hint
        )
    blob = net.blob(retention.keep_best)
    spec = find_spec(blob.producer.spec_name)
    if blob.count != 1 and not (spec is not None and spec.lists_detections):
        raise NetspecError(
            f"--keep-best '{retention.keep_best}' has {blob.count} values, expected one", blob.span
        )
    is_loss, is_metric = (
        bool(net.loss_weights.get(retention.keep_best)),
        spec is not None and spec.is_metric,
    )
    if not (direction or is_loss or is_metric):
        message = (
            f"--keep-best '{given}' is neither a loss nor an Accuracy: "
            "is more of it better, or less?"
        )
        raise NetspecError(
            message, blob.span, f"--keep-best {given}:max, or --keep-best {given}:min"
        )
    retention.lower_is_better = direction == "min" if direction else is_loss
    return retention


def tests_before(p: caffe_pb2.SolverParameter, iteration: int) -> int:
    """How many tests come before an iteration's own, in a run from the start."""
    if not p.test_interval:
        return 0
    return (iteration + p.test_interval - 1) // p.test_interval - (
        0 if p.test_initialization or iteration == 0 else 1
    )


def describe_run(solver: Solver) -> RunInfo:
    """What there is to report of a run. Raises: NetspecError where its data is missing."""
    p, nets = solver.param, [solver.net, *solver.test_nets]
    shown_weights = [
        {name: weight for name, weight in net.loss_weights.items() if name in net.outputs}
        for net in nets
    ]
    return RunInfo(
        net=solver.net.name,
        solver=solver.file.path,
        rule=p.type,
        lr_policy=p.lr_policy,
        device=str(solver.device),
        precision=solver.precision,
        compile=isinstance(solver.forward_pass, CompiledPass),
        seed=solver.seed,
        start_iter=solver.iter,
        max_iter=p.max_iter,
        batch_size=solver.batch_size,
        iter_size=p.iter_size,
        processes=solver.processes.count,
        param_count=param_count(solver.net),
        start_records=solver.train_batches * solver.records_a_batch,
        display=p.display,
        epoch_size=dataset_size(solver.net),
        loss_weights=shown_weights[0],
        test_loss_weights=shown_weights[1:],
        test_iter=list(p.test_iter),
        test_sizes=[dataset_size(net) for net in solver.test_nets],
        test_batch_sizes=[net.batch_size for net in solver.test_nets],
    )
