"""SSD's layers but its loss, against the same rules written with loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report, Source
from netspec.graph import Net
from netspec.options import NetOptions
from netspec.pipeline import assemble, read_net
from netspec.pytorch.boxes import decode, encode, suppress
from netspec.schema.caffe_pb2 import TEST, NetState
from tests.nets import net_text

Load = Callable[..., Net]


def module_for(load_text: Load, layer: str, feed: dict[str, np.ndarray], **options: Any) -> Any:
    shapes = {name: value.shape for name, value in feed.items()}
    return netspec.compile(load_text(net_text(f'{layer} top: "y"', **shapes), **options))


def run(load_text: Load, layer: str, feed: dict[str, np.ndarray]) -> np.ndarray:
    tensors = {name: torch.from_numpy(value) for name, value in feed.items()}
    top: torch.Tensor = module_for(load_text, layer, feed)(**tensors)["y"]
    return top.numpy()


def overlap(a: Any, b: Any, edge: float = 0) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    w, h = (edge, edge) if w < 0 or h < 0 else (w + edge, h + edge)
    if w <= 0 or h <= 0:
        return 0.0
    area = [0.0 if (x[2:] < x[:2]).any() else float((x[2:] - x[:2] + edge).prod()) for x in (a, b)]
    return float(w * h / (sum(area) - w * h))


def greedy(boxes: np.ndarray, threshold: float, eta: float) -> list[int]:
    kept: list[int] = []
    for i, box in enumerate(boxes):
        if all(overlap(box, boxes[k]) <= threshold for k in kept):
            kept.append(i)
            threshold *= eta if eta < 1 and threshold > 0.5 else 1
    return kept


@pytest.mark.parametrize(("threshold", "eta"), [(0.45, 1), (0.0, 1), (0.9, 0.97), (0.5, 0.8)])
@pytest.mark.parametrize("count", [0, 1, 64, 65, 300])
def test_suppression(count: int, threshold: float, eta: float) -> None:
    rng = np.random.default_rng(count)
    low = rng.uniform(0, 0.8, (count, 2))
    boxes = np.concatenate((low, low + rng.uniform(-0.05, 0.3, (count, 2))), 1).astype(np.float32)
    assert suppress(boxes, threshold, eta) == greedy(boxes.astype(float), threshold, eta)


@pytest.mark.parametrize("code", [1, 2, 3])
@pytest.mark.parametrize("in_target", [False, True])
def test_encoding_is_the_inverse_of_decoding(code: int, in_target: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(9, 2, generator=generator, dtype=torch.float64)
    priors = torch.cat((low, low + 0.1 + torch.rand(9, 2, generator=generator).double()), 1)
    variances = None if in_target else torch.rand(9, 4, generator=generator).double() + 0.1
    values = torch.randn(9, 4, generator=generator).double() * 0.1
    boxes = decode(code, priors, variances, values)
    torch.testing.assert_close(encode(code, priors, variances, boxes), values)


def predictions(classes: int, entries: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    count, items = 90, 2
    low = rng.uniform(0, 0.7, (count, 2))
    boxes = np.concatenate((low, low + rng.uniform(0.1, 0.4, (count, 2))), 1)
    scores = rng.uniform(0, 1, (items, count, classes)).round(1)  # many are equal
    feed = {
        "loc": rng.normal(0, 0.5, (items, count * entries * 4)),
        "conf": scores.reshape(items, -1),
        "prior": np.stack((boxes, rng.uniform(0.05, 0.2, boxes.shape))).reshape(1, 2, -1),
    }
    return {name: value.astype(np.float32) for name, value in feed.items()}


def detections(
    feed: dict[str, np.ndarray],
    classes: int,
    entries: int,
    background: int,
    nms: tuple[float, float, int],
    threshold: float,
    keep: int,
) -> np.ndarray:
    boxes, variances = feed["prior"].reshape(2, -1, 4)
    rows = []
    for n in range(2):
        loc = feed["loc"][n].reshape(-1, entries, 4)
        found = []
        for c in range(classes):
            if c == background:
                continue
            scores = feed["conf"][n].reshape(-1, classes)[:, c]
            order = sorted(np.flatnonzero(scores > np.float32(threshold)), key=lambda i: -scores[i])
            order = order[: nms[2]]
            placed = boxes + variances * loc[:, c if entries > 1 else 0]
            kept = [order[k] for k in greedy(placed[order], nms[0], nms[1])]
            found += [[n, c, scores[i], *placed[i]] for i in kept]
        best = sorted(range(len(found)), key=lambda k: -found[k][2])
        rows += [found[k] for k in sorted(best[:keep])]
    return np.array(rows, np.float32).reshape(1, 1, -1, 7)


@pytest.mark.parametrize(
    ("classes", "entries", "background", "nms", "threshold", "keep"),
    [
        (4, 1, 0, (0.3, 1, 80), 0.2, 1000),
        (4, 1, 0, (0.45, 1, 7), 0.5, 1000),
        (4, 1, 2, (0.6, 0.9, 40), 0.2, 30),
        (3, 3, -1, (0.3, 1, 80), 0.3, 11),
        (3, 3, 1, (0.3, 1, 0), 0.3, 11),
    ],
)
def test_detections(
    load_text: Load,
    classes: int,
    entries: int,
    background: int,
    nms: tuple[float, float, int],
    threshold: float,
    keep: int,
) -> None:
    feed = predictions(classes, entries, seed=classes)
    settings = (
        f"num_classes: {classes} share_location: {str(entries == 1).lower()} "
        f"background_label_id: {background} confidence_threshold: {threshold} keep_top_k: {keep} "
        f"nms_param {{ nms_threshold: {nms[0]} eta: {nms[1]} top_k: {nms[2]} }}"
    )
    got = run(load_text, f'type: "DetectionOutput" detection_output_param {{ {settings} }}', feed)
    wanted = detections(feed, classes, entries, background, nms, threshold, keep)
    if not wanted.size:
        wanted = np.full((1, 1, 2, 7), -1, np.float32)
        wanted[..., 0] = [0, 1]
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_an_image_as_a_fourth_bottom_is_not_read(load_text: Load) -> None:
    feed = predictions(3, 1, seed=3)
    layer = 'type: "DetectionOutput" detection_output_param { num_classes: 3 visualize: true }'
    wanted = run(load_text, layer, feed)
    image = {"image": np.zeros((2, 3, 8, 8), np.float32)}
    assert np.array_equal(run(load_text, layer, feed | image), wanted)


OUTPUT = 'type: "DetectionOutput" detection_output_param'
EVALUATE = 'type: "DetectionEvaluate" detection_evaluate_param'
PREDICTED = {"loc": (2, 8), "conf": (2, 6), "prior": (1, 2, 8)}
FOUND = {"det": (1, 1, 5, 7), "gt": (1, 1, 4, 8)}
WRONG = [
    (f"{OUTPUT} {{ }}", PREDICTED, "'num_classes' is missing"),
    (f"{OUTPUT} {{ num_classes: 0 }}", PREDICTED, "'num_classes' must be at least 1, got 0"),
    (
        f"{OUTPUT} {{ num_classes: 3 nms_param {{ nms_threshold: -1 }} }}",
        PREDICTED,
        "'nms_threshold' must be at least 0, got -1",
    ),
    (
        f"{OUTPUT} {{ num_classes: 3 nms_param {{ eta: 0 }} }}",
        PREDICTED,
        "'eta' must be in (0, 1], got 0",
    ),
    (
        f"{OUTPUT} {{ num_classes: 3 background_label_id: -1 }}",
        PREDICTED,
        "'background_label_id' -1 needs 'share_location' false",
    ),
    (
        f"{OUTPUT} {{ num_classes: 4 }}",
        PREDICTED,
        "'conf' (2×6) must hold 8 values an item: a score for each of 4 classes of 2 priors",
    ),
    (
        f"{OUTPUT} {{ num_classes: 3 }}",
        PREDICTED | {"prior": (1, 1, 8)},
        "'prior' (1×1×8) must hold prior boxes and their variances as 1×2×(4·priors)",
    ),
    (
        f"{EVALUATE} {{ num_classes: 3 overlap_threshold: 0 }}",
        FOUND,
        "'overlap_threshold' must be above 0, got 0",
    ),
    (
        f"{EVALUATE} {{ num_classes: 3 background_label_id: 3 }}",
        FOUND,
        "'background_label_id' 3 is out of range: expected below 'num_classes' 3",
    ),
    (
        f"{EVALUATE} {{ num_classes: 3 }}",
        FOUND | {"gt": (1, 1, 4, 7)},
        "'gt' (1×1×4×7) must list true boxes as 1×1×rows×8",
    ),
    (
        'type: "Permute" permute_param { order: 1 order: 1 }',
        {"x": (2, 3)},
        "'order' names axis 1 twice",
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message"), WRONG)
def test_a_fault_is_reported_in_its_line(
    load_text: Load, layer: str, shapes: dict, message: str
) -> None:
    with pytest.raises(NetspecError) as caught:
        load_text(net_text(f'{layer} top: "y"', **shapes))
    (fault,) = caught.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span.line == len(shapes) + 1


def test_a_prior_without_a_width_is_reported(load_text: Load) -> None:
    feed = predictions(3, 1, seed=3)
    feed["prior"][0, 0, 4:8] = 0.5
    layer = f"{OUTPUT} {{ num_classes: 3 code_type: CENTER_SIZE }}"
    with pytest.raises(NetspecError, match=r"prior box 1 .* has no width or no height"):
        run(load_text, layer, feed)


def test_torch_compile_leaves_the_list_to_plain_code(load_text: Load) -> None:
    feed = {k: torch.from_numpy(v) for k, v in predictions(3, 1, seed=3).items()}
    layer = f"{OUTPUT} {{ num_classes: 3 }}"
    module = module_for(load_text, layer, {k: v.numpy() for k, v in feed.items()})
    fast = torch.compile(module, backend="eager")
    assert torch.equal(fast(**feed)["y"], module(**feed)["y"])


def test_it_says_that_it_cannot_be_exported(load_text: Load) -> None:
    feed = predictions(3, 1, seed=3)
    module = module_for(load_text, f"{OUTPUT} {{ num_classes: 3 }}", feed)
    with pytest.raises(Exception, match="DetectionOutput can't be exported"):
        torch.export.export(
            module, (), {k: torch.from_numpy(v) for k, v in feed.items()}, strict=False
        )


# an image of 20 rows and 40 columns; the second detection is the true box, one pixel wider
ROWS = {
    "det": [[0, 1, 0.5, 0.5, 0.5, 0.6, 0.6], [0, 1, 0.9, 0.0, 0.0, 0.1, 0.1]],
    "gt": [[0, 1, 0, 0.0, 0.0, 0.075, 0.1, 0]],
}


def evaluated(load_text: Load, settings: str) -> np.ndarray:
    feed = {k: np.array(v, np.float32).reshape(1, 1, len(v), -1) for k, v in ROWS.items()}
    return run(load_text, f"{EVALUATE} {{ num_classes: 2 {settings} }}", feed)[0, 0, :, 2:]


def test_with_the_images_sizes_boxes_are_compared_in_pixels(
    load_text: Load, tmp_path: Path
) -> None:
    sizes = tmp_path / "sizes.txt"
    sizes.write_text("first 20 40\nsecond 10 10\n")
    # as parts of the image the overlap is 3/4, in pixels with both edges 4·3 / 5·3
    low, high = "overlap_threshold: 0.76", f'overlap_threshold: 0.76 name_size_file: "{sizes}"'
    assert evaluated(load_text, low).tolist()[1:] == [[pytest.approx(0.9), 0, 1], [0.5, 0, 1]]
    assert evaluated(load_text, high).tolist()[1:] == [[pytest.approx(0.9), 1, 0], [0.5, 0, 1]]
    sizes.write_text("first 20 forty\n")
    with pytest.raises(NetspecError, match="names image 1 'first' with '20 forty'"):
        evaluated(load_text, high)


def test_a_missing_list_of_sizes_is_warned_of_and_refused_where_values_need_it(
    load_text: Load,
) -> None:
    layer = f'{EVALUATE} {{ num_classes: 2 name_size_file: "none.txt" }} top: "y"'
    text = net_text(layer, **FOUND)
    assert warnings_of(text) == ["layer 'l': the file 'none.txt' does not exist"]
    net = load_text(text)
    with pytest.raises(NetspecError, match=r"can't read 'none\.txt'"):
        netspec.compile(net)


def test_the_backgrounds_label_is_no_detection(load_text: Load) -> None:
    feed = {k: np.zeros(shape, np.float32) for k, shape in FOUND.items()}
    with pytest.raises(NetspecError, match="true box 0 has label 0, the background's"):
        run(load_text, f"{EVALUATE} {{ num_classes: 3 }}", feed)


@pytest.mark.parametrize(
    "settings", ["", "across_spatial: false", "channel_shared: false", "eps: 0.1"]
)
def test_normalize_with_equal_scales_has_the_derivative_as_gradient(
    load_text: Load, settings: str
) -> None:
    layer = f"norm_param {{ {settings} scale_filler {{ value: 3 }} }}"
    text = net_text(f'type: "Normalize" {layer} top: "y"', x=(2, 3, 2, 2))
    module = netspec.compile(load_text(text))
    (scale,) = module.params["l"]
    x = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    weight = torch.full_like(scale, 3).double().requires_grad_()
    rule = module.get_submodule("l")
    del rule.weight
    rule.weight = torch.nn.Parameter(weight.detach())

    def function(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(rule, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(function, (x.requires_grad_(), weight))


def test_normalize_leaves_the_scale_out_of_the_inner_sum(load_text: Load) -> None:
    layer = 'type: "Normalize" norm_param { channel_shared: false } top: "y"'
    module = netspec.compile(load_text(net_text(layer, x=(1, 3, 2, 2), force_backward=True)))
    scale = torch.tensor([1.0, 5.0, 2.0])
    with torch.no_grad():
        module.params["l"][0].copy_(scale)
    x = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    grad = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    module(x=x)["y"].backward(grad)
    norm = x.detach().square().sum().sqrt()
    inner = grad - x.detach() * (x.detach() * grad).sum() / norm**2
    torch.testing.assert_close(x.grad, scale.view(3, 1, 1) * inner / norm)


def test_norm_param_shows_which_normalize_is_meant(load_text: Load) -> None:
    net = load_text(net_text('type: "Normalize" norm_param { } top: "y"', x=(1, 3, 2, 2)))
    assert net.layer("l").spec_name == "Normalize (ssd)"


@pytest.mark.parametrize(("order", "is_same"), [((), True), ((0, 1), True), ((1, 0), False)])
def test_a_permute_that_changes_nothing_shares_its_bottoms_memory(
    load_text: Load, order: tuple[int, ...], is_same: bool
) -> None:
    words = " ".join(f"order: {axis}" for axis in order)
    layer = f'type: "Permute" permute_param {{ {words} }} top: "y"'
    net = load_text(net_text(layer, x=(2, 3, 4)))
    assert (net.blobs["y"].memory is net.blobs["x"].memory) == is_same


def warnings_of(text: str) -> list[str]:
    report = Report()
    message, spans = read_net(Source("net.prototxt", text), report)
    assemble(message, spans, NetState(phase=TEST), report, NetOptions())
    return [each.message for each in report.diagnostics]


def test_files_and_screens_are_warned_of() -> None:
    settings = 'num_classes: 3 visualize: true save_output_param { output_directory: "results" }'
    text = net_text(f'{OUTPUT} {{ {settings} }} top: "y"', **PREDICTED)
    assert warnings_of(text) == [
        "layer 'l': netspec writes no files of detections",
        "layer 'l': netspec shows no detections on a screen",
    ]
