"""Every layer case that the original Caffe or a fork computed.

Outputs, gradients, params after the forward passes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.layers import SPECS

REFERENCE = Path(__file__).parent.parent / "reference"
FOLDERS = (REFERENCE / "layers", REFERENCE / "forks" / "layers")
# each case by its path without a suffix
CASES = {
    folder / name: about
    for folder in FOLDERS
    for name, about in json.loads((folder / "index.json").read_text()).items()
}
FORWARD = {"rtol": 1e-4, "atol": 1e-5}
BACKWARD = {"rtol": 1e-3, "atol": 1e-4}


def set_params(module: torch.nn.Module, record: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        for key, value in record.items():
            if key.startswith("param/"):
                _, layer, index = key.split("/")
                if layer in module.params:
                    module.params[layer][int(index)].copy_(torch.from_numpy(value))


def gradient(tensor: torch.Tensor) -> np.ndarray:
    return np.zeros(tuple(tensor.shape), np.float32) if tensor.grad is None else tensor.grad.numpy()


def entries(record: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key[len(prefix) :]: value for key, value in record.items() if key.startswith(prefix)}


def case_name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def has_planes(case: Path) -> bool:
    """Whether a bottom lies otherwise with its channels last."""
    with np.load(case.with_suffix(".npz")) as record:
        shapes = [record[key].shape for key in record.files if key.startswith("in/")]
    return any(len(shape) == 4 and shape[1] > 1 and shape[2] * shape[3] > 1 for shape in shapes)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_layer_computes_what_the_original_computed(case: Path) -> None:
    check_case(case, torch.contiguous_format)


@pytest.mark.parametrize("case", [*filter(has_planes, CASES)], ids=case_name)
def test_layer_computes_the_same_of_bottoms_channels_last(case: Path) -> None:
    check_case(case, torch.channels_last)


def check_case(case: Path, memory_format: torch.memory_format) -> None:
    about, path = CASES[case], case.with_suffix(".prototxt")
    record = dict(np.load(case.with_suffix(".npz")))
    module = netspec.compile(path, phase=about["phase"], dialect=about.get("dialect"))
    set_params(module, record)
    feed = {key: torch.from_numpy(value.copy()) for key, value in entries(record, "in/").items()}
    if memory_format == torch.channels_last:
        feed = {key: lying(value, memory_format) for key, value in feed.items()}
        for param in module.parameters():
            param.data = lying(param.data, memory_format)
    if about["gradient"]:
        for key in entries(record, "indiff/"):
            feed[key].requires_grad_(True)
    for _ in range(about["forwards"]):
        outputs = module(**feed)
    wanted = entries(record, "out/")
    assert sorted(outputs) == sorted(wanted)
    for key, value in wanted.items():
        np.testing.assert_allclose(
            outputs[key].detach().numpy().reshape(value.shape), value, err_msg=key, **FORWARD
        )
    for key, value in entries(record, "param_after/").items():
        layer, index = key.split("/")
        np.testing.assert_allclose(
            module.params[layer][int(index)].detach().numpy(), value, err_msg=key, **FORWARD
        )
    if about["gradient"]:
        check_gradients(module, feed, outputs, record, is_loss=about["loss"])
    check_inner_blobs(path, about["phase"], feed, record)


def lying(tensor: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    return tensor.contiguous(memory_format=memory_format) if tensor.dim() == 4 else tensor


def check_gradients(
    module: torch.nn.Module, feed: dict, outputs: dict, record: dict[str, np.ndarray], is_loss: bool
) -> None:
    if is_loss:
        objective = module.loss(outputs)
    else:
        objective = sum(
            (outputs[key] * torch.from_numpy(value)).sum()
            for key, value in entries(record, "topdiff/").items()
        )
    if isinstance(objective, torch.Tensor) and objective.requires_grad:
        objective.backward()
    for key, value in entries(record, "indiff/").items():
        np.testing.assert_allclose(
            gradient(feed[key]), value, err_msg=f"gradient of {key}", **BACKWARD
        )
    for key, value in entries(record, "paramdiff/").items():
        layer, index = key.split("/")
        np.testing.assert_allclose(
            gradient(module.params[layer][int(index)]),
            value,
            err_msg=f"gradient of {key}",
            **BACKWARD,
        )


def check_inner_blobs(path: Path, phase: str, feed: dict, record: dict[str, np.ndarray]) -> None:
    """Cut at inner blobs, a net needs only the inputs that lead there and gives their values."""
    blobs = entries(record, "blob/")
    if not blobs:
        return
    module = netspec.compile(path, phase=phase, outputs=list(blobs))
    set_params(module, record)
    outputs = module(
        **{key: value.detach() for key, value in feed.items() if key in module.input_names}
    )
    for key, value in blobs.items():
        np.testing.assert_allclose(outputs[key].detach().numpy(), value, err_msg=key, **FORWARD)


def test_every_type_that_computes_has_a_case() -> None:
    sources = {name for name, spec in SPECS.items() if spec.is_source}
    tested = {case.parent.name for case in CASES}
    assert set(SPECS) - sources - tested <= {"Python", "HDF5Output"}
