"""Files with the keys of a module's state_dict: .safetensors, .npz, .pt; foreign ones by --map."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch
from safetensors.torch import save_file as save_torch
from safetensors.torch import save_model

import netspec
from netspec import WeightChoice
from netspec.cli import main
from netspec.pytorch.module import NetModule
from netspec.pytorch.weights import keys_of
from netspec.weights.files import read_weights
from netspec.weights.state_keys import keys_of_net
from tests.conftest import REFERENCE

NET = """name: "n"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 6, 6] } } }
layer { name: "inception/1x1" type: "Convolution" bottom: "x" top: "a"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "norm" type: "BatchNorm" bottom: "a" top: "b" }
layer { name: "lambda" type: "Scale" bottom: "b" top: "c" scale_param { bias_term: true } }
layer { name: "slope" type: "PReLU" bottom: "c" top: "d" }
layer { name: "2nd" type: "InnerProduct" bottom: "d" top: "e"
  param { name: "w" } inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "third" type: "InnerProduct" bottom: "d" top: "f"
  param { name: "w" } inner_product_param { num_output: 5 } }
"""
KEYS = {
    "inception/1x1": ["inception_1x1.weight", "inception_1x1.bias"],
    "norm": ["norm.mean", "norm.variance", "norm.scale_factor"],
    "lambda": ["lambda_.weight", "lambda_.bias"],
    "slope": ["slope.weight"],
    "2nd": ["_2nd.weight", "_2nd.bias"],
    "third": ["third.weight", "third.bias"],
}


def trained(text: str = NET) -> NetModule:
    """A module none of whose values is a filler's."""
    module = netspec.compile(netspec.loads(text), seed=1)
    with torch.no_grad():
        for i, value in enumerate(module.state_dict().values()):
            value.copy_(torch.arange(value.numel()).reshape(value.shape) + 100 * i)
    return module


def same_values(one: NetModule, other: NetModule) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    return tmp_path


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_what_is_written_the_module_itself_takes(suffix) -> None:
    module, fresh = trained(), netspec.compile("net.prototxt", seed=2)
    netspec.save_weights(module, f"w{suffix}")
    if suffix == ".npz":
        state = {key: torch.from_numpy(value) for key, value in np.load("w.npz").items()}
    else:
        state = load_torch("w.safetensors")
    assert sorted(state) == sorted(key for keys in KEYS.values() for key in keys)
    fresh.load_state_dict(state, strict=True)
    assert same_values(module, fresh)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".pth"])
def test_what_is_written_is_read_by_name(suffix) -> None:
    module = trained()
    if suffix.startswith(".pt"):
        torch.save(module.state_dict(), f"w{suffix}")
    else:
        netspec.save_weights(module, f"w{suffix}")
        assert list(read_weights(f"w{suffix}")) == list(KEYS)  # the names need no net
    read = netspec.compile("net.prototxt", weights=f"w{suffix}", choice=WeightChoice(strict=True))
    assert same_values(module, read)


def test_conversion_has_the_same_keys_without_a_module() -> None:
    module, fresh = trained(), netspec.compile("net.prototxt", seed=2)
    netspec.save_weights(module, "w.caffemodel")
    assert main(["convert", "w.caffemodel", "w.safetensors"]) == 0
    fresh.load_state_dict(load_torch("w.safetensors"), strict=True)
    assert same_values(module, fresh)
    assert main(["convert", "w.safetensors", "w.npz"]) == 0
    assert main(["convert", "w.npz", "back.caffemodel"]) == 0
    for name, arrays in read_weights("w.caffemodel").items():
        for one, other in zip(arrays, read_weights("back.caffemodel")[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_every_type_has_the_keys_of_its_module() -> None:
    found: set[str] = set()
    for path in sorted(REFERENCE.glob("layers/*/*.prototxt")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                net = netspec.load(path)
                if not any(layer.params for layer in net.layers):
                    continue
                keys = keys_of(netspec.compile(net))
            except netspec.NetspecError:
                continue
        by_rule = keys_of_net(net)
        for layer in net.layers:
            # of a shared param that is a view of another one the module has no key
            if layer.params and None not in keys[layer.name]:
                leaves = [
                    [key.rpartition(".")[2] for key in of[layer.name]] for of in (keys, by_rule)
                ]
                assert leaves[0] == leaves[1], path
                found.add(layer.spec_name)
    assert {"BatchNorm", "Bias", "LSTM", "RNN", "Convolution", "Embed", "PReLU"} <= found


def test_the_keys_of_before_are_read() -> None:
    module = trained()
    old = {f"{name}/{i}": a for name, blobs in module.params.items() for i, a in enumerate(blobs)}
    save_file({key: value.detach().numpy() for key, value in old.items()}, "old.safetensors")
    assert list(read_weights("old.safetensors"))
    read = netspec.compile("net.prototxt", weights="old.safetensors")
    assert same_values(module, read)


def test_shared_params_of_save_model() -> None:
    module = trained()
    save_model(module, "w.safetensors")  # which writes a shared tensor once
    assert len(load_file("w.safetensors")) == len(module.state_dict()) - 1
    choice = WeightChoice(strict=True)
    assert same_values(
        module, netspec.compile("net.prototxt", weights="w.safetensors", choice=choice)
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_param_that_is_a_view_of_another_ones(suffix) -> None:
    text = NET.replace(
        'param { name: "w" } inner_product_param { num_output: 5 } }',
        'param { name: "w" share_mode: PERMISSIVE } inner_product_param { num_output: 5 '
        "transpose: true } }",
    )
    module, fresh = trained(text), netspec.compile(netspec.loads(text), seed=2)
    assert len(module.state_dict()) == sum(map(len, KEYS.values())) - 1
    netspec.save_weights(module, f"w{suffix}")
    report = netspec.load_weights(fresh, f"w{suffix}", choice=WeightChoice(strict=True))
    assert not report.mismatched
    assert same_values(module, fresh)


def test_half_and_brain_floats_and_checkpoints() -> None:
    module, fresh = trained(), netspec.compile("net.prototxt", seed=2)
    state = module.state_dict()
    for kind in (torch.bfloat16, torch.float16, torch.float64):
        rounded = {key: value.to(kind) for key, value in state.items()}
        save_torch({key: value.clone() for key, value in rounded.items()}, "w.safetensors")
        torch.save(
            {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in rounded.items()}}, "w.pt"
        )
        for file in ("w.safetensors", "w.pt"):
            netspec.load_weights(fresh, file, choice=WeightChoice(strict=True))
            for key, value in fresh.state_dict().items():
                torch.testing.assert_close(value, rounded[key].float(), rtol=0, atol=0)


SMALL = """name: "n"
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 3] } } }
layer { name: "fc/a" type: "InnerProduct" bottom: "x" top: "a"
  inner_product_param { num_output: 4 } }
layer { name: "fc2" type: "InnerProduct" bottom: "a" top: "b"
  inner_product_param { num_output: 2 } }
"""


@pytest.fixture
def foreign() -> torch.nn.Module:
    Path("small.prototxt").write_text(SMALL)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    torch.save(module.state_dict(), "theirs.pt")
    np.savez_compressed("theirs.npz", **{k: v.numpy() for k, v in module.state_dict().items()})
    save_torch(module.state_dict(), "theirs.safetensors")
    return module


@pytest.mark.parametrize("file", ["theirs.pt", "theirs.npz", "theirs.safetensors"])
@pytest.mark.parametrize(
    "names",
    [
        "0.weight fc_a.weight\n0.bias fc_a.bias\n\n2 fc2  # a layer\n",
        "0 fc/a\n2.weight fc2/0\n2.bias fc2/1\n",
    ],
)
def test_foreign_names_by_a_map(foreign, capsys, file, names) -> None:
    Path("names.txt").write_text(names)
    options = ["--map", "names.txt", "--strict"]
    assert main(["export", "small.prototxt", "out.pt", "--weights", file, *options]) == 0
    state = torch.load("out.pt")
    assert torch.equal(state["fc_a.weight"], foreign[0].weight)
    assert torch.equal(state["fc2.bias"], foreign[2].bias)
    assert main(["weights", file, "--against", "small.prototxt", *options]) == 0
    assert "2 layers loaded" in capsys.readouterr().out
    assert main(["weights", file, "--to", "o.h5", "--against", "small.prototxt", *options]) == 0
    assert sorted(read_weights("o.h5")) == ["fc/a", "fc2"]
    assert [a.shape for a in read_weights("o.h5")["fc/a"]] == [(4, 3), (4,)]


WRONG_MAPS = {
    "0 fc_a\n0 fc2\n": "names.txt:2: '0' stands in an earlier line, too",
    "0 fc_a fc2\n": "names.txt:1: expected two names, got 3",
    "0.weigth fc_a.weight\n": "has no tensor '0.weigth'",
    "0 fc_b\n2 fc2\n": "'0' is called 'fc_b', but the net has no such param or layer",
    "0 fc2\n2 fc2\n": "would have two tensors 'fc2.weight'",
}


@pytest.mark.parametrize(("names", "message"), WRONG_MAPS.items(), ids=WRONG_MAPS.values())
def test_a_wrong_map_is_told(foreign, capsys, names, message) -> None:
    Path("names.txt").write_text(names)
    command = ["export", "small.prototxt", "out.pt", "--weights", "theirs.pt"]
    assert main([*command, "--map", "names.txt"]) == 1
    assert message in capsys.readouterr().err
    assert not Path("out.pt").exists()


def test_a_map_is_for_names_of_tensors(foreign, capsys) -> None:
    Path("names.txt").write_text("a b\n")
    netspec.save_weights(trained(), "w.caffemodel")
    for command in (["weights", "w.caffemodel"], ["test", "small.prototxt", "w.caffemodel"]):
        assert main([*command, "--map", "names.txt"]) == 1
        assert "has layers, not tensors" in capsys.readouterr().err
    assert main(["weights", "theirs.pt", "--map", "none.txt"]) == 1
    assert "'none.txt' does not exist" in capsys.readouterr().err


def test_renamed_layers_keep_the_order_of_the_nets_params() -> None:
    text = NET.replace("norm", "other")
    module = trained(text)
    torch.save(dict(reversed(module.state_dict().items())), "w.pt")
    read = netspec.compile(
        "net.prototxt", weights="w.pt", choice=WeightChoice({"other": "norm"}, strict=True)
    )
    assert same_values(module, read)


def test_what_a_file_has_beside_a_layers_params_is_left_out() -> None:
    state = trained().state_dict()
    state["norm.num_batches_tracked"] = torch.tensor(5)
    torch.save(state, "w.pt")
    report = netspec.compile("net.prototxt", weights="w.pt").load_report
    assert report.unused == ["norm.num_batches_tracked"]
    assert "norm" in report.loaded
    del state["norm.mean"]
    torch.save(state, "w.pt")
    with pytest.raises(netspec.NetspecError, match=r"layer 'norm' has no tensor 'norm\.mean'"):
        netspec.compile("net.prototxt", weights="w.pt")


class Own:
    """Something that a state_dict does not hold."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Own(), "holds more than tensors"),
        (torch.nn.Linear(1, 1), "holds more than tensors"),
        ({"lr": 0.1}, "holds a dict with the keys lr; expected a state_dict"),
        ([1], "holds a list; expected a state_dict"),
        ({"a": torch.ones(2, dtype=torch.bool)}, "the tensor 'a' holds no numbers"),
        ({"a": torch.ones(2).to_sparse()}, "the tensor 'a' is of a kind that numpy does not have"),
    ],
)
def test_other_files_of_torch_are_told(content, message) -> None:
    torch.save(content, "w.pt")
    with pytest.raises(netspec.NetspecError, match=message):
        read_weights("w.pt")


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
def test_a_damaged_file_is_read_or_told(suffix) -> None:
    module = trained()
    if suffix == ".pt":
        torch.save(module.state_dict(), "w.pt")
    else:
        netspec.save_weights(module, f"w{suffix}")
    whole = Path(f"w{suffix}").read_bytes()
    damage = np.random.default_rng(1)
    for i in range(150):
        content = bytearray(whole[: damage.integers(0, len(whole))] if i % 3 == 0 else whole)
        for at in damage.integers(0, len(content) or 1, 3):
            if content:
                content[at] = damage.integers(0, 256)
        Path(f"d{suffix}").write_bytes(content)
        with contextlib.suppress(netspec.NetspecError):
            read_weights(f"d{suffix}")


def test_an_npz_that_is_none(foreign) -> None:
    for content, message in (
        (b"", "not a NumPy archive"),
        (b"PK\x03\x04rest", "not a NumPy archive"),
        (Path("theirs.npz").read_bytes()[:-200], "not a NumPy archive"),
    ):
        Path("w.npz").write_bytes(content)
        with pytest.raises(netspec.NetspecError, match=message):
            read_weights("w.npz")
    np.savez("w.npz", a=np.array([object()]))
    with pytest.raises(netspec.NetspecError, match="'a' holds no numbers"):
        read_weights("w.npz")
