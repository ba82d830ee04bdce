"""Activation checkpointing: less memory, and the same results bit for bit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.graph import Layer, Net
from netspec.passes.checkpoint_segments import _Search
from netspec.pytorch import training_forward
from netspec.pytorch.layers import BUILDERS
from netspec.pytorch.layers.builder import Builder
from netspec.solver.run_options import RunOptions

SOLVER = """
net: "net.prototxt" base_lr: 0.01 momentum: 0.9 weight_decay: 0.001 lr_policy: "fixed"
max_iter: 4 iter_size: 2 random_seed: 5 solver_mode: CPU snapshot_after_train: false
"""
DATA = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 dim: 16 dim: 16 } shape { dim: 4 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
"""


def conv(
    name: str, bottom: str, top: str, outputs: int = 8, kernel: int = 3, more: str = ""
) -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{top}" {more} '
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} "
        'weight_filler { type: "msra" } } }\n'
    )


def layer(name: str, kind: str, bottom: str, top: str, more: str = "") -> str:
    bottoms = " ".join(f'bottom: "{each}"' for each in bottom.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top}" {more} }}\n'


def loss(name: str, bottom: str, weight: float = 1, more: str = "") -> str:
    return (
        layer(
            f"{name}_pool",
            "Pooling",
            bottom,
            f"{name}_pool",
            "pooling_param { pool: AVE global_pooling: true }",
        )
        + layer(
            f"{name}_ip",
            "InnerProduct",
            f"{name}_pool",
            f"{name}_ip",
            "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } }",
        )
        + layer(name, "SoftmaxWithLoss", f"{name}_ip label", name, f"loss_weight: {weight}")
        + more
    )


def residual() -> str:
    text, bottom = conv("stem", "data", "stem") + layer("stem_relu", "ReLU", "stem", "stem"), "stem"
    for i in range(5):
        branch, top = f"branch{i}", f"block{i}"
        text += conv(f"{branch}_conv", bottom, branch)
        text += layer(f"{branch}_bn", "BatchNorm", branch, branch)
        text += layer(f"{branch}_scale", "Scale", branch, branch, "scale_param { bias_term: true }")
        text += layer(f"{branch}_relu", "ReLU", branch, branch)
        text += layer(f"{branch}_drop", "Dropout", branch, branch)
        text += conv(f"{branch}_conv2", branch, f"{branch}b")
        text += layer(f"{branch}_bn2", "BatchNorm", f"{branch}b", f"{branch}n")
        text += layer(top, "Eltwise", f"{bottom} {branch}n", top)
        text += layer(f"{top}_relu", "ReLU", top, top)
        bottom = top
    return text + loss("loss", bottom)


def inception() -> str:
    text, bottom = "", "data"
    for i in range(4):
        one, three, pooled, top = (f"{part}{i}" for part in ("one", "three", "pooled", "concat"))
        text += conv(one, bottom, one, 4, 1) + layer(f"{one}_relu", "ReLU", one, one)
        text += conv(f"{three}_reduce", bottom, f"{three}_reduce", 4, 1)
        text += layer(f"{three}_elu", "ELU", f"{three}_reduce", f"{three}_reduce")
        text += conv(three, f"{three}_reduce", three, 4)
        text += layer(pooled, "Pooling", bottom, pooled, "pooling_param { kernel_size: 3 pad: 1 }")
        text += layer(top, "Concat", f"{one} {three} {pooled}", top)
        text += layer(f"norm{i}", "LRN", top, f"norm{i}")
        bottom = f"norm{i}"
        if i == 1:
            text += loss("aux", bottom, 0.3)
    return text + layer("drop", "Dropout", bottom, "top") + loss("loss", "top")


def shared() -> str:
    text = ""
    for side in "ab":
        text += layer(f"noise_{side}", "Dropout", "data", f"data_{side}")
        bottom = f"data_{side}"
        for i in range(4):
            name = f"{side}{i}"
            params = f"param {{ name: 'w{i}' }} param {{ name: 'b{i}' }}"
            text += conv(name, bottom, name, more=params)
            text += layer(
                f"{name}_bn",
                "BatchNorm",
                name,
                f"{name}n",
                " ".join(f"param {{ name: 's{i}{k}' lr_mult: 0 }}" for k in range(3)),
            )
            text += layer(f"{name}_tanh", "TanH", f"{name}n", f"{name}t")
            bottom = f"{name}t"
        text += loss(f"loss_{side}", bottom)
    return text


def overwritten() -> str:
    text, bottom = "", "data"
    for i in range(6):
        name = f"c{i}"
        text += conv(name, bottom, name) + layer(f"{name}_relu", "ReLU", name, name)
        if i == 3:  # Caffe's ReLU reads the signs that Scale leaves
            text += layer("over", "Scale", name, name, "scale_param { filler { value: -1 } }")
        bottom = name
    return text + loss("loss", bottom)


def recurrent() -> str:
    """States carried from one pass to the next, and a layer that counts its passes."""
    fill = "recurrent_param { num_output: 12 weight_filler { type: 'uniform' min: -0.3 max: 0.3 } }"
    margin = "type: QUADRUPLE base: 1000 gamma: 0.12 power: 1 weight_filler { type: 'xavier' }"
    text, bottom = """
layer { name: "series" type: "DummyData" top: "series" top: "cont" top: "classes" dummy_data_param {
  shape { dim: 5 dim: 4 dim: 6 } shape { dim: 5 dim: 4 } shape { dim: 20 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 }
  data_filler { type: "constant" value: 2 } } }
layer { name: "silent" type: "Silence" bottom: "data" bottom: "label" }
""", "series"  # fmt: skip
    for i, kind in enumerate(("LSTM", "RNN", "LSTM", "LSTM")):
        text += layer(f"lstm{i}", kind, f"{bottom} cont", f"lstm{i}", fill)
        bottom = f"lstm{i}"
        shape = "reshape_param { shape { dim: 20 dim: 12 } }"
        text += layer(f"flat{i}", "Reshape", bottom, f"flat{i}", shape)
        kind = "Margin" if i == 3 else "LargeMargin"
        text += layer(
            f"margin{i}", f"{kind}InnerProduct", f"flat{i} classes", f"margin{i}",
            f"top: 'lambda{i}' {kind.lower()}_inner_product_param {{ num_output: 3 {margin} }}",
        )  # fmt: skip
        text += layer(f"loss{i}", "SoftmaxWithLoss", f"margin{i} classes", f"loss{i}")
    return text


NETS = {
    "residual": residual,
    "inception": inception,
    "shared": shared,
    "overwritten": overwritten,
    "recurrent": recurrent,
}


def solver(folder: Path, text: str, checkpoint: str, exact: bool = False) -> netspec.Solver:
    (folder / "net.prototxt").write_text(DATA + text)
    (folder / "solver.prototxt").write_text(SOLVER)
    return netspec.Solver(folder / "solver.prototxt", checkpoint=checkpoint, exact=exact)


def repeated(run: netspec.Solver) -> set[str]:
    """The layers that are computed again."""
    return {str(node.target) for segment in run.forward_pass.segments for node in segment}


def trained(run: netspec.Solver) -> list[torch.Tensor]:
    """The losses of all iterations, and what has become of params and statistics."""
    losses = []
    for _ in range(4):
        run.step(1)
        losses.append(torch.tensor(run.losses.last))
    run.close()
    return [*losses, *(value.clone() for value in run.module.state_dict().values())]


def in_twos(net: Net, outside: set[Layer]) -> list[range]:
    """All that can be computed again, in short segments."""
    search = _Search(net, outside, 4)
    free, pairs = [not is_fixed for is_fixed in search.is_fixed], list[tuple[int, int]]()
    for i, is_free in enumerate(free):
        if is_free and not (pairs and pairs[-1][1] >= i):
            pairs.append((i, i + 1 if i + 1 < len(free) and free[i + 1] else i))
    return [range(search.units[i].start, search.units[k].stop) for i, k in pairs]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_a_run_is_the_same_bit_for_bit(tmp_path: Path, name: str, exact: bool) -> None:
    plain = solver(tmp_path, NETS[name](), "none", exact)
    again = solver(tmp_path, NETS[name](), "auto", exact)
    assert not repeated(plain)
    assert repeated(again)
    for one, two in zip(trained(plain), trained(again), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("residual", "branch2_drop"),
        ("inception", "drop"),
        ("shared", "b3_bn"),
        ("recurrent", "margin2"),
        ("recurrent", "lstm3"),
    ],
)
def test_each_layer_can_be_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layer: str
) -> None:
    plain = solver(tmp_path, NETS[name](), "none")
    monkeypatch.setattr(training_forward, "checkpoint_segments", in_twos)
    again = solver(tmp_path, NETS[name](), "auto")
    assert layer in repeated(again)
    assert "margin3" not in repeated(again)  # which writes its weights
    for one, two in zip(trained(plain), trained(again), strict=True):
        assert torch.equal(one, two)
    for one, two in zip(plain.module.buffers(), again.module.buffers(), strict=True):
        assert torch.equal(one, two)  # also those that are not saved


def kept_bytes(run: netspec.Solver) -> int:
    """What stands for the backward pass after a forward pass."""
    found: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run._train_feed().forward(run.forward_pass)
    run.close()
    return sum(found.values())


@pytest.mark.parametrize("name", ["residual", "inception"])
def test_less_is_kept(tmp_path: Path, name: str) -> None:
    plain, again = (kept_bytes(solver(tmp_path, NETS[name](), each)) for each in ("none", "auto"))
    assert again < 0.6 * plain


def test_user_code_runs_once_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counting.py").write_text(
        "import caffe\n"
        "class Counting(caffe.Layer):\n"
        "    count = 0\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top):\n"
        "        type(self).count += 1\n"
        "        top[0].data[...] = bottom[0].data * 2\n"
        "    def backward(self, top, down, bottom): bottom[0].diff[...] = top[0].diff * 2\n"
    )
    monkeypatch.chdir(tmp_path)
    twice = layer(
        "twice",
        "Python",
        "block2",
        "twice",
        "python_param { module: 'counting' layer: 'Counting' }",
    )
    text = residual().replace(
        conv("branch3_conv", "block2", "branch3"),
        twice + conv("branch3_conv", "twice", "branch3"),
    )
    (tmp_path / "net.prototxt").write_text(DATA + text)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    run = netspec.Solver("solver.prototxt", allow_python_layers=True, checkpoint="auto")
    assert repeated(run)
    assert "twice" not in repeated(run)
    run.step(2)
    run.close()
    assert type(run.module.twice.layer).count == 4  # iter_size 2


def test_a_layer_that_others_build_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_forward, "checkpoint_segments", in_twos)
    assert "a2_tanh" in repeated(solver(tmp_path, shared(), "auto"))
    monkeypatch.setitem(BUILDERS, "TanH", Builder(lambda layer: torch.nn.Tanh()))
    found = repeated(solver(tmp_path, shared(), "auto"))
    assert "a2" in found
    assert "a2_tanh" not in found


def test_a_layer_within_a_segment_is_named(tmp_path: Path) -> None:
    run = solver(tmp_path, residual(), "auto")
    with pytest.raises(RuntimeError) as error:
        run.forward_pass([torch.zeros(4, 2, 16, 16), torch.ones(4)])
    run.close()
    assert any("layer 'stem'" in note for note in error.value.__notes__)


def test_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solver(tmp_path, residual(), "none").close()
    assert main(["train", str(tmp_path / "solver.prototxt"), "--checkpoint", "auto"]) == 0
    assert re.search(r"computes \d+ layers again, in \d segments", capsys.readouterr().out)
    (tmp_path / "net.prototxt").write_text(DATA + loss("loss", "data"))
    assert main(["train", str(tmp_path / "solver.prototxt"), "--checkpoint", "auto"]) == 0
    assert "would not lower the peak" in capsys.readouterr().out
    with pytest.raises(NetspecError, match="'checkpoint' is none or auto, got 'all'"):
        netspec.Solver(tmp_path / "solver.prototxt", checkpoint="all")
    with pytest.raises(NetspecError, match="got 'all'"):
        RunOptions(checkpoint="all")


def records(folder: Path, batch: int, parts: int) -> netspec.Solver:
    """A run that reads eight records of a database in each iteration, in parts."""
    data = f"""layer {{ name: "data" type: "Data" top: "data" top: "label" data_param {{
      source: "{folder / "train_lmdb"}" backend: LMDB batch_size: {batch} }} }}"""
    text = (
        conv("conv", "data", "conv") + layer("relu", "ReLU", "conv", "conv") + loss("loss", "conv")
    )
    (folder / "net.prototxt").write_text(data + text)
    (folder / "solver.prototxt").write_text(SOLVER.replace("iter_size: 2", f"iter_size: {parts}"))
    return netspec.Solver(folder / "solver.prototxt")


def test_iter_size_has_the_gradient_of_the_whole_batch_and_keeps_that_of_a_part(
    run_folder: Path,
) -> None:
    whole, parts = trained(records(run_folder, 8, 1)), trained(records(run_folder, 2, 4))
    for one, two in zip(whole, parts, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-6)
    kept = kept_bytes(records(run_folder, 2, 4)), kept_bytes(records(run_folder, 8, 1))
    assert kept[0] < 0.3 * kept[1]


LIMITED = """
import resource, sys
import netspec.pytorch.run, torch.utils.checkpoint  # the limit is that of the step
from netspec.cli import main
held = next(int(l.split()[1]) << 10 for l in open("/proc/self/status") if l.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + (480 << 20), resource.RLIM_INFINITY))
sys.exit(main(["train", *sys.argv[1:]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits are Linux's")
def test_a_batch_trains_that_does_not_fit(tmp_path: Path) -> None:
    def ended(batch: int, parts: int, *options: str) -> subprocess.CompletedProcess[str]:
        data = DATA.replace("16", "96").replace("dim: 4", f"dim: {batch}")
        (tmp_path / "net.prototxt").write_text(data + residual())
        text = SOLVER.replace("iter_size: 2", f"iter_size: {parts}").replace("iter: 4", "iter: 1")
        (tmp_path / "solver.prototxt").write_text(text)
        command = [sys.executable, "-c", LIMITED, str(tmp_path / "solver.prototxt"), *options]
        env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}  # what is freed is given back
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    plain = ended(64, 1)
    assert plain.returncode == 1
    assert "memory" in plain.stderr
    assert "or --checkpoint auto" in plain.stderr
    assert ended(64, 1, "--checkpoint", "auto").returncode == 0
    assert ended(16, 4).returncode == 0
