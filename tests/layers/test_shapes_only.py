"""The forks' layer types whose shapes alone are known: shapes, params, faults."""

from __future__ import annotations

import pytest

import netspec
from netspec.diagnostics import Report
from netspec.layers import FORK_FAMILIES, all_specs

OURS = ("flow", "crf", "matlab", "local", "augmentation", "quantized")


def text(layer: str, shapes: list[tuple[int, ...]], tops: int = 1) -> str:
    """The text of a net with one layer."""
    inputs = "\n".join(
        f'layer {{ name: "b{i}" type: "Input" top: "b{i}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {dim}' for dim in shape)} }} }} }}"
        for i, shape in enumerate(shapes)
    )
    ends = [f'bottom: "b{i}"' for i in range(len(shapes))] + [f'top: "t{i}"' for i in range(tops)]
    return f'{inputs}\nlayer {{ name: "x" {" ".join(ends)} {layer} }}'


PAIR = [(2, 8, 10, 12), (2, 8, 10, 12)]
CASES = [
    # FlowNet-C: 21² displacements, the size kept by a pad of the largest one
    (
        'type: "Correlation" correlation_param { pad: 4 kernel_size: 1 '
        "max_displacement: 4 stride_2: 2 }",
        PAIR,
        (2, 25, 10, 12),
    ),
    # border 2 + 1; (10 + 2 - 6) / 2 and (12 + 2 - 6) / 2
    (
        'type: "Correlation" correlation_param { pad: 1 kernel_size: 3 '
        "max_displacement: 2 stride_1: 2 }",
        PAIR,
        (2, 25, 3, 4),
    ),
    ('type: "Resample" resample_param { width: 9 height: 7 }', [(2, 3, 4, 5)], (2, 3, 7, 9)),
    ('type: "Resample"', [(2, 3, 4, 5), (1, 1, 6, 8)], (2, 3, 6, 8)),
    (
        'type: "Downsample" downsample_param { top_width: 2 top_height: 3 }',
        [(2, 3, 8, 8)],
        (2, 3, 3, 2),
    ),
    ('type: "FlowWarp"', [(2, 3, 4, 5), (2, 2, 4, 5)], (2, 3, 4, 5)),
    ('type: "SpatialDropout"', [(2, 3, 4, 5)], (2, 3, 4, 5)),
    (
        'type: "DenseCRF" dense_crf_param { max_iter: 5 }',
        [(1, 4, 8, 8), (1, 2, 1, 1)],
        (1, 4, 8, 8),
    ),
    ('type: "DomainTransform"', [(1, 4, 8, 8), (1, 1, 8, 8), (1, 2, 1, 1)], (1, 4, 8, 8)),
    # without levels the axis goes; 5 = 1² + 2²
    (
        'type: "BatchReduction" batch_reduction_param { reduction_param { axis: 1 } }',
        [(2, 7, 3)],
        (2, 3),
    ),
    (
        'type: "BatchReduction" batch_reduction_param { level: 1 level: 2 '
        "reduction_param { axis: 1 } }",
        [(2, 5, 3)],
        (2, 2, 3),
    ),
    (
        'type: "BatchReduction" batch_reduction_param { level: 2 pos: true '
        "reduction_param { axis: 0 } }",
        [(4, 4, 3)],
        (1, 3),
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "top"), CASES)
def test_shapes(layer: str, shapes: list[tuple[int, ...]], top: tuple[int, ...]) -> None:
    report = Report()
    net = netspec.loads(text(layer, shapes), report=report)
    assert net.blobs["t0"].shape == top
    assert "is checked, not computed" in report.diagnostics[0].message
    with pytest.raises(netspec.NetspecError, match="layer 'x': layer type"):
        netspec.compile(net)


def test_params() -> None:
    local = 'type: "Local" local_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }'
    net = netspec.loads(text(local, [(2, 3, 7, 9)]))
    assert net.blobs["t0"].shape == (2, 4, 4, 5)
    assert [param.shape for param in net.layers[-1].params] == [(4, 1, 27, 20), (1, 1, 4, 20)]
    assert net.layers[-1].macs == 2 * 4 * 27 * 20
    crf = 'type: "MultiStageMeanfield" multi_stage_meanfield_param { num_iterations: 5 }'
    net = netspec.loads(text(crf, [(1, 6, 4, 4), (1, 6, 4, 4), (1, 3, 4, 4)]))
    assert [param.shape for param in net.layers[-1].params] == [(1, 1, 6, 6)] * 3


WRONG = [
    (
        'type: "Correlation" correlation_param { kernel_size: 1 }',
        PAIR,
        "'max_displacement' must be",
    ),
    (
        'type: "Correlation" correlation_param { kernel_size: 2 max_displacement: 1 }',
        PAIR,
        "'kernel_size' must be odd, got 2",
    ),
    (
        'type: "Correlation" correlation_param { kernel_size: 1 max_displacement: 5 }',
        PAIR,
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
    assert f"layer 'x': {message}" in str(caught.value)


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
    assert [told.kind for told in report.diagnostics] == [
        "layer type 'FcRistretto' is checked, not computed: "
        "its numbers of few bits (quantization_param) are not carried out"
    ]


def test_every_type_of_these_families_says_why_it_is_not_computed() -> None:
    assert set(OURS) <= set(FORK_FAMILIES)
    assert all(spec.not_computed for spec in all_specs().values() if spec.family in OURS)
