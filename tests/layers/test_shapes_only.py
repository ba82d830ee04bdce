"""The forks' layer types whose shapes alone are known: faults, and what is not known of them."""

from __future__ import annotations

import pytest

import netspec
from netspec.diagnostics import Report
from netspec.layers import FORK_FAMILIES, all_specs
from tests.nets import Shape, net_text

OURS = ("flow", "crf", "matlab", "local", "augmentation", "quantized")


def text(layer: str, shapes: list[Shape], tops: int = 1) -> str:
    """A net with the layer over bottoms b0, b1, …, its tops t0, t1, …"""
    names = " ".join(f'top: "t{i}"' for i in range(tops))
    return net_text(f"{names} {layer}", **{f"b{i}": shape for i, shape in enumerate(shapes)})


WRONG = [
    (
        'type: "Correlation" correlation_param { kernel_size: 1 }',
        [(2, 8, 10, 12)] * 2,
        "'max_displacement' must be",
    ),
    (
        'type: "Correlation" correlation_param { kernel_size: 2 max_displacement: 1 }',
        [(2, 8, 10, 12)] * 2,
        "'kernel_size' must be odd, got 2",
    ),
    (
        'type: "Correlation" correlation_param { kernel_size: 1 max_displacement: 5 }',
        [(2, 8, 10, 12)] * 2,
        "the displacements leave nothing of 10×12",
    ),
    ('type: "Resample"', [(2, 3, 4, 5)], "'height' and 'width' must be given"),
    ('type: "FlowWarp"', [(2, 3, 4, 5), (2, 3, 4, 5)], "the flow is 2×3×4×5, expected 2×2×4×5"),
    ('type: "FlowWarp"', [(2, 3), (2, 3)], "'b0' must be N×C×H×W, got 2×3"),
    (
        'type: "MultiStageMeanfield" multi_stage_meanfield_param { num_iterations: 1 }',
        [(1, 6, 4, 4), (1, 6, 4, 4), (1, 3, 4, 4)],
        "'num_iterations' must be at least 2, got 1",
    ),
    (
        'type: "Local" local_param { num_output: 4 kernel_size: 8 }',
        [(2, 3, 7, 9)],
        "a window of 8 does not fit into 7×9",
    ),
    ('type: "Local" local_param { kernel_size: 8 }', [(2, 3, 7, 9)], "'num_output' must be given"),
    (
        'type: "BatchReduction" batch_reduction_param { level: 2 reduction_param { axis: 1 } }',
        [(2, 5, 3)],
        "its levels have 4 entries, axis 1 has 5",
    ),
    (
        'type: "SpatialDropout" spatial_dropout_param { dropout_ratio: 1 }',
        [(2, 3, 4, 5)],
        "'dropout_ratio' is between 0 and 1, got 1",
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message"), WRONG)
def test_faults(layer: str, shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(netspec.NetspecError) as caught:
        netspec.loads(text(layer, shapes))
    assert f"layer 'l': {message}" in str(caught.value)


def test_what_detectnet_makes_of_labels_is_not_known() -> None:
    layer = (
        'type: "DetectNetTransformation" '
        "detectnet_groundtruth_param { image_size_x: 20 image_size_y: 10 }"
    )
    net = netspec.loads(text(layer, [(2, 3, 30, 40), (2, 1, 9, 16)], tops=2))
    assert (net.blobs["t0"].shape, net.blobs["t1"].shape) == ((2, 3, 10, 20), None)
    with pytest.raises(netspec.NetspecError, match="images of 3 channels"):
        netspec.loads(text(layer, [(2, 1, 30, 40), (2, 1, 9, 16)], tops=2))


def test_data_that_are_not_read_take_the_shapes_that_are_given() -> None:
    layer = 'type: "MatRead" mat_read_param { source: "x" }'
    with pytest.raises(netspec.NetspecError, match="the size of its data is unknown"):
        netspec.loads(text(layer, []))
    assert netspec.loads(text(layer, []), inputs={"t0": (1, 2)}).blobs["t0"].shape == (1, 2)


def test_quantization_is_not_carried_out() -> None:
    report = Report()
    layer = (
        'type: "InnerProduct" inner_product_param { num_output: 2 } '
        "quantization_param { bw_layer_in: 8 fl_layer_in: 4 }"
    )
    net = netspec.loads(text(layer, [(2, 3)]), report=report)
    assert "'quantization_param' is a fork's field" in report.diagnostics[0].message
    with pytest.raises(netspec.NetspecError, match="quantization_param"):
        netspec.compile(net)


def test_ristrettos_layers_have_the_params_of_those_they_stand_for() -> None:
    layer = (
        'type: "{}" inner_product_param {{ num_output: 2 }} '
        "quantization_param {{ precision: MINIFLOAT mant_bits: 10 exp_bits: 5 }}"
    )
    report = Report()
    net = netspec.loads(text(layer.format("FcRistretto"), [(2, 3)]), report=report)
    assert [param.shape for param in net.layers[-1].params] == [(2, 3), (2,)]
    assert [warning.kind for warning in report.diagnostics] == [
        "layer type 'FcRistretto' is checked, not computed: "
        "its numbers of few bits (quantization_param) are not carried out"
    ]


def test_every_type_of_these_families_says_why_it_is_not_computed() -> None:
    assert set(OURS) <= set(FORK_FAMILIES)
    assert all(spec.not_computed for spec in all_specs().values() if spec.family in OURS)
