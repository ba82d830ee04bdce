"""DummyData and its fillers."""

from math import sqrt

import numpy as np
import pytest

import netspec
from netspec.diagnostics import NetspecError
from netspec.readers.batches import batches
from netspec.readers.fillers import fill
from netspec.schema.caffe_pb2 import FillerParameter


def dummy(make_net, param, tops='top: "a" top: "b"'):
    return make_net(
        f'layer {{ name: "dummy" type: "DummyData" {tops} dummy_data_param {{ {param} }} }}'
    )


def filled(shape, **filler):
    norm = filler.pop("variance_norm", None)
    message = FillerParameter(**filler)
    if norm:
        message.variance_norm = FillerParameter.VarianceNorm.Value(norm)
    return fill(message, shape, np.random.default_rng(0))


def test_constants_are_filled_once_and_the_rest_anew(make_net):
    param = (
        'shape { dim: 2 dim: 3 } data_filler { type: "constant" value: 7 } '
        'data_filler { type: "gaussian" }'
    )
    with batches(dummy(make_net, param), seed=1) as stream:
        first, second = next(stream), next(stream)
    assert first["a"].tolist() == [[7] * 3] * 2
    assert first["a"] is second["a"]
    assert not np.array_equal(first["b"], second["b"])
    assert {array.dtype for array in first.values()} == {np.dtype(np.float32)}
    with batches(dummy(make_net, param), start=1, seed=1) as stream:
        np.testing.assert_array_equal(next(stream)["b"], second["b"])


@pytest.mark.parametrize(
    ("param", "shapes"),
    [
        ("shape { dim: 4 } shape { dim: 5 dim: 6 }", [(4,), (5, 6)]),
        ("shape { dim: 4 dim: 2 }", [(4, 2), (4, 2)]),
        ("shape { }", [(), ()]),
        ("num: 1 num: 2 channels: 3 height: 4 height: 5 width: 6", [(1, 3, 4, 6), (2, 3, 5, 6)]),
    ],
)
def test_shapes_stand_once_or_once_a_top(make_net, param, shapes):
    with batches(dummy(make_net, param)) as stream:
        batch = next(stream)
    assert [batch[top].shape for top in "ab"] == shapes
    assert not batch["a"].any()  # without a filler: zeros


def test_uniform():
    values = filled((100, 200), type="uniform", min=-1, max=3)
    assert values.dtype == np.float32
    assert (values.min() >= -1, values.max() < 3) == (True, True)
    assert values.mean() == pytest.approx(1, abs=0.05)


def test_gaussian():
    values = filled((100, 200), type="gaussian", mean=2, std=0.5)
    assert values.mean() == pytest.approx(2, abs=0.02)
    assert values.std() == pytest.approx(0.5, abs=0.02)


def test_a_sparse_gaussian_keeps_so_many_of_a_column():
    kept = filled((50, 2000), type="gaussian", sparse=10) != 0
    assert kept.sum(axis=0).mean() == pytest.approx(10, abs=0.4)


def test_positive_unitball():
    values = filled((5, 3, 4), type="positive_unitball")
    assert (values >= 0).all()
    np.testing.assert_allclose(values.reshape(5, -1).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("norm", "n"), [("FAN_IN", 30 * 9), ("FAN_OUT", 20 * 9), ("AVERAGE", 25 * 9)]
)
def test_xavier_and_msra_scale_by_the_connections(norm, n):
    xavier = filled((20, 30, 3, 3), type="xavier", variance_norm=norm)
    assert np.abs(xavier).max() == pytest.approx(sqrt(3 / n), rel=0.01)
    assert filled((20, 30, 3, 3), type="msra", variance_norm=norm, std=9).std() == pytest.approx(
        sqrt(2 / n), rel=0.05
    )


def test_bilinear_is_caffes_kernel():
    kernel = filled((2, 3, 4, 4), type="bilinear")
    row = np.array([0.25, 0.75, 0.75, 0.25])
    assert kernel.shape == (2, 3, 4, 4)
    np.testing.assert_array_equal(kernel, np.broadcast_to(np.outer(row, row), (2, 3, 4, 4)))


@pytest.mark.parametrize(
    "kind", ["constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra"]
)
def test_an_empty_top_stays_empty(make_net, kind):
    sparse = "sparse: 1" if kind == "gaussian" else ""
    param = (
        "shape { dim: 0 dim: 3 } shape { dim: 3 dim: 0 } "
        f'data_filler {{ type: "{kind}" {sparse} }}'
    )
    with batches(dummy(make_net, param)) as stream:
        assert [array.shape for array in next(stream).values()] == [(0, 3), (3, 0)]


@pytest.mark.parametrize(
    "filler",
    [
        'type: "gaussian" std: -1',
        'type: "uniform" min: 2',
        'type: "uniform" max: inf',
        'type: "xavier" sparse: 1',
    ],
)
def test_a_filler_out_of_range_is_reported_though_its_shape_is_given(tmp_path, filler):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "d" type: "DummyData" top: "a" dummy_data_param { shape { dim: 2 }\n'
        f"data_filler {{ {filler} }} }} }}"
    )
    with pytest.raises(NetspecError) as caught:
        netspec.load(path, inputs={"a": (2,)})
    assert caught.value.diagnostics[0].span.line == 2
