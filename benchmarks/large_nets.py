"""How the time of each stage grows with the layers of a net, up to 10,000.

`python -m benchmarks.large_nets [KIND…] [--stages A,B] [--sizes 1000,2000]` measures some of it.
A growth of 10 from 1,000 layers to 10,000 is linear.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch

import netspec
from benchmarks.generated_nets import KINDS
from benchmarks.side_by_side import report
from netspec.advice import RULES
from netspec.check_file import CheckOptions, check_source
from netspec.diagnostics import Report, Source
from netspec.diff.compare_nets import compare_nets
from netspec.diff.net_file import read_net_file
from netspec.draw.dot import dot_text
from netspec.draw.mermaid import mermaid_text
from netspec.exporters.write_onnx import onnx_model
from netspec.graph import Net, net_table
from netspec.options import NetOptions
from netspec.page.load_page import load_page
from netspec.page.write_page import page_html
from netspec.pipeline import load_source, read_net
from netspec.pytorch.export_subject import random_inputs
from netspec.pytorch.module import NetModule
from netspec.pytorch.standalone.write_module import module_text
from netspec.syntax.layout import layout
from netspec.syntax.read import parse_source, without_collector

SIZES = (1000, 2000, 4000, 10_000)
PATIENCE = 60.0  # seconds; a stage that took longer is not run for a larger net
MOST_GROWTH = 12.0  # from 1,000 layers to 10,000, where 10 is linear


class Case:
    """A net of a kind and size, and what the stages make of it, made when it is first asked for."""

    def __init__(self, kind: str, layers: int) -> None:
        self.text = KINDS[kind](layers)
        self.options = NetOptions(phase="TRAIN")

    @property
    def source(self) -> Source:
        return Source("net.prototxt", self.text)

    @cached_property
    def net(self) -> Net:
        return load_source(self.source, self.options, Report())

    @cached_property
    def module(self) -> NetModule:
        return netspec.compile(self.net, seed=0)

    @cached_property
    def inputs(self) -> list[torch.Tensor]:
        return [*random_inputs(self.module).values()]

    def check(self) -> None:
        checked = check_source(self.source, CheckOptions(rules=tuple(RULES.values())))
        assert all(each.severity != "error" for each in checked.diagnostics)

    def step(self) -> None:
        self.module.zero_grad()
        self.module.loss(self.module(*self.inputs)).backward()

    def diff(self) -> None:
        other = Source("other.prototxt", self.text.replace("4 }", "5 }"))
        files = [
            read_net_file(source, parse_source(source), self.options)
            for source in (self.source, other)
        ]
        compare_nets(files[0], files[1], self.options)

    def onnx(self) -> None:
        params = [[blob.detach().numpy() for blob in blobs] for blobs in self.module.layer_params]
        onnx_model(self.net, params, self.module.output_names)

    def page(self) -> None:
        page = load_page(self.source)
        assert page.data is not None
        page_html(page.data)


# what is measured, and what of the case has to be there before it begins
STAGES: dict[str, tuple[Callable[[Case], Any], str]] = {
    "parse": (lambda case: parse_source(case.source), ""),
    "read": (lambda case: read_net(case.source, Report()), ""),
    "load": (lambda case: load_source(case.source, case.options, Report()), ""),
    "check": (Case.check, ""),
    "table": (lambda case: net_table(case.net), "net"),
    "compile": (lambda case: netspec.compile(case.net, seed=0), "net"),
    "forward": (lambda case: case.module(*case.inputs), "inputs"),
    "step": (Case.step, "inputs"),
    "code": (lambda case: case.module.code, "module"),
    "dot": (lambda case: dot_text([case.net]), "net"),
    "fold": (lambda case: dot_text([case.net], fold="all"), "net"),
    "mermaid": (lambda case: mermaid_text([case.net]), "net"),
    "page": (Case.page, ""),
    "fmt": (lambda case: layout(case.source), ""),
    "diff": (Case.diff, ""),
    ".py": (lambda case: module_text(case.module), "module"),
    ".onnx": (Case.onnx, "module"),
}


def seconds_of(stage: str, case: Case) -> float:
    """The processor's seconds, the least of up to three runs."""
    run, needs = STAGES[stage]
    if needs:
        getattr(case, needs)
    best = float("inf")
    for _ in range(3):
        gc.collect()
        begin = time.process_time()
        with without_collector():  # as every command reads nets
            run(case)
        best = min(best, time.process_time() - begin)
        if best > 0.5:
            break
    return best


def measure(kind: str, stages: Sequence[str], sizes: Sequence[int]) -> dict[str, list[float]]:
    """Prints the seconds of each stage by size, and how they grow."""
    found: dict[str, list[float]] = {stage: [] for stage in stages}
    for stage in stages:
        seconds_of(stage, Case(kind, 100))  # imports, and makes what is made once
    for size in sizes:
        case = Case(kind, size)
        for stage, seconds in found.items():
            if not seconds or seconds[-1] < PATIENCE:
                seconds.append(seconds_of(stage, case))
    for stage, seconds in found.items():
        values = " | ".join(f"{value:.3f}" for value in seconds)
        print(f"| {kind} | {stage} | {values} | {seconds[-1] / seconds[0]:.1f} |", flush=True)
    print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most", flush=True)
    return found


def main() -> None:
    sizes = (SIZES[0], SIZES[-1])
    found = {kind: measure(kind, list(STAGES), sizes) for kind in KINDS}
    for stage in STAGES:
        kind = max(KINDS, key=lambda each: found[each][stage][-1] / found[each][stage][0])
        seconds = dict(zip(map(str, sizes), ([each] for each in found[kind][stage]), strict=False))
        title = f"{stage} of 10,000 layers to that of 1,000 ({kind}, which grows most)"
        report(title, seconds, str(sizes[-1]), str(sizes[0]), bound=MOST_GROWTH)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for kind in args.kinds:
        measure(kind, args.stages.split(","), [int(size) for size in args.sizes.split(",")])
