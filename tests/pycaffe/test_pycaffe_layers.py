"""Every layer case of the original and of the forks, run layer by layer on blobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec.pycaffe as caffe
from tests.layers.test_conformance import BACKWARD, CASES, FORWARD, entries


def make(case: Path, tmp_path: Path, has_input_diffs: bool) -> caffe.Net:
    about, text = CASES[case], case.with_suffix(".prototxt").read_text()
    if has_input_diffs and "force_backward" not in text:
        text = f"force_backward: true\n{text}"
    if about.get("dialect"):
        text = f"# netspec: dialect {about['dialect']}\n{text}"
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return caffe.Net(path, caffe.TRAIN if about["phase"] == "TRAIN" else caffe.TEST)


@pytest.mark.parametrize("is_seen", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_layer_computes_what_the_original_computed(case, is_seen, tmp_path, monkeypatch):
    monkeypatch.chdir(case.parent)
    about, record = CASES[case], dict(np.load(case.with_suffix(".npz")))
    net = make(case, tmp_path, bool(entries(record, "indiff/")))
    for blob in net.blobs.values() if is_seen else ():
        blob.data.sum() + blob.diff.sum()
    for key, value in entries(record, "param/").items():
        layer, index = key.split("/")
        net.params[layer][int(index)].data[...] = value
    for key, value in entries(record, "in/").items():
        net.blobs[key].data[...] = value.reshape(net.blobs[key].data.shape)
    for _ in range(about["forwards"]):
        net.forward()
    for key, value in {**entries(record, "blob/"), **entries(record, "out/")}.items():
        found = net.blobs[key].data.reshape(value.shape)
        np.testing.assert_allclose(found, value, err_msg=key, **FORWARD)
    for key, value in entries(record, "param_after/").items():
        layer, index = key.split("/")
        found = net.params[layer][int(index)].data
        np.testing.assert_allclose(found, value, err_msg=key, **FORWARD)
    if about["gradient"]:
        check_gradients(net, record, about["loss"])


def check_gradients(net: caffe.Net, record: dict[str, np.ndarray], is_loss: bool) -> None:
    if not is_loss:
        for key, value in entries(record, "topdiff/").items():
            net.blobs[key].diff[...] = value.reshape(net.blobs[key].diff.shape)
    net.clear_param_diffs()
    net.backward()
    for key, value in entries(record, "indiff/").items():
        found = net.blobs[key].diff.reshape(value.shape)
        np.testing.assert_allclose(found, value, err_msg=f"gradient of {key}", **BACKWARD)
    for key, value in entries(record, "paramdiff/").items():
        layer, index = key.split("/")
        found = net.params[layer][int(index)].diff
        np.testing.assert_allclose(found, value, err_msg=f"gradient of {key}", **BACKWARD)
