"""SSD-300's DetectionOutput and MultiBoxLoss, against decoding and softmax alone.

8,732 prior boxes and 21 classes. The scores are those of a trained net: most priors are background,
and around each of a few objects many priors agree.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import netspec
from benchmarks.side_by_side import interleaved, report
from netspec.pytorch.boxes import CENTER_SIZE, decode, encode, overlaps, split_priors

CLASSES, TRAIN_ITEMS, OBJECTS = 21, 8, 6
_MAPS = ((38, 30, 60, "2"), (19, 60, 111, "2 3"), (10, 111, 162, "2 3"), (5, 162, 213, "2 3"),
         (3, 213, 264, "2"), (1, 264, 315, "2"))  # fmt: skip


def priors() -> Tensor:
    """The prior boxes of SSD-300: (1, 2, 4·8732)."""
    text = (
        'layer { name: "img" type: "Input" top: "img" '
        "input_param { shape { dim: 1 dim: 3 dim: 300 dim: 300 } } }"
    )
    feed = {"img": torch.zeros(1, 3, 300, 300)}
    for cells, least, most, ratios in _MAPS:
        name = f"x{cells}"
        feed[name] = torch.zeros(1, 1, cells, cells)
        ratio = " ".join(f"aspect_ratio: {r}" for r in ratios.split())
        text += f"""
        layer {{ name: "{name}" type: "Input" top: "{name}"
          input_param {{ shape {{ dim: 1 dim: 1 dim: {cells} dim: {cells} }} }} }}
        layer {{ name: "p{cells}" type: "PriorBox" bottom: "{name}" bottom: "img" top: "p{cells}"
          prior_box_param {{ min_size: {least} max_size: {most} {ratio}
            variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }} }}"""
    outputs = _module(text, "TEST")(**feed)
    return torch.cat([outputs[f"p{cells}"] for cells, *_ in _MAPS], 2)


def predictions(items: int, prior: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N, P·4), scores before the softmax (N, P, classes), true boxes (1, 1, G, 8)."""
    torch.manual_seed(0)
    boxes, variances = split_priors(prior)
    loc = torch.randn(items, len(boxes), 4) * 0.5
    conf = torch.randn(items, len(boxes), CLASSES)
    conf[..., 0] += 8
    rows = []
    for item in range(items):
        for _ in range(OBJECTS):
            low, size = torch.rand(2) * 0.6, torch.rand(2) * 0.3 + 0.1
            box, label = torch.cat((low, low + size)), int(torch.randint(1, CLASSES, ()))
            near = overlaps(boxes, box[None])[:, 0] > 0.4
            wanted = encode(CENTER_SIZE, boxes[near], variances[near], box)
            loc[item, near] = wanted + torch.randn_like(wanted) * 0.3
            conf[item, near, label] += 9
            rows.append([item, label, 0, *box.tolist(), 0])
    return loc.flatten(1), conf, torch.tensor(rows).view(1, 1, -1, 8)


def _module(text: str, phase: str) -> torch.nn.Module:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_text(text)
        return netspec.compile(path, phase=phase)


def _layer(type_name: str, names: dict[str, str], settings: str) -> torch.nn.Module:
    inputs = "\n".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {dims} }} }} }}"
        for name, dims in names.items()
    )
    bottoms = " ".join(f'bottom: "{name}"' for name in names)
    phase = "TRAIN" if type_name == "MultiBoxLoss" else "TEST"
    return _module(
        f'{inputs}\nlayer {{ name: "l" type: "{type_name}" {bottoms} top: "y" {settings} }}', phase
    )


def _dims(*sizes: int) -> str:
    return " ".join(f"dim: {size}" for size in sizes)


def main() -> None:
    prior = priors()
    count = prior.shape[2] // 4
    shapes = {"loc": 4 * count, "conf": CLASSES * count}
    _report_output(prior, shapes)
    _report_loss(prior, shapes)


def _report_output(prior: Tensor, shapes: dict[str, int]) -> None:
    loc, conf, _ = predictions(1, prior)
    names = {name: _dims(1, size) for name, size in shapes.items()}
    module = _layer(
        "DetectionOutput",
        {**names, "prior": _dims(*prior.shape)},
        "detection_output_param { num_classes: 21 code_type: CENTER_SIZE keep_top_k: 200 "
        "confidence_threshold: 0.01 nms_param { nms_threshold: 0.45 top_k: 400 } }",
    )
    scores = conf.softmax(2).flatten(1)
    boxes, variances = split_priors(prior)
    with torch.no_grad():
        found = module(loc, scores, prior)["y"].shape[2]
        variants = {
            "DetectionOutput": lambda: module(loc, scores, prior),
            "decoding alone": lambda: decode(CENTER_SIZE, boxes, variances, loc.view(-1, 4)),
        }
        above = int((scores.view(-1, CLASSES)[:, 1:] > 0.01).sum())
        report(
            f"SSD-300's DetectionOutput: {above} scores above 0.01, {found} detections "
            "(at most 20 ms is asked for)",
            interleaved(variants, rounds=100, warm_up=5),
            "DetectionOutput",
            "decoding alone",
        )


def _report_loss(prior: Tensor, shapes: dict[str, int]) -> None:
    loc, conf, truth = predictions(TRAIN_ITEMS, prior)
    loc, conf = loc.requires_grad_(), conf.flatten(1).requires_grad_()
    names = {name: _dims(TRAIN_ITEMS, size) for name, size in shapes.items()}
    module = _layer(
        "MultiBoxLoss",
        {**names, "prior": _dims(*prior.shape), "truth": _dims(*truth.shape)},
        "multibox_loss_param { num_classes: 21 code_type: CENTER_SIZE }",
    )
    labels = torch.zeros(conf.numel() // CLASSES, dtype=torch.long)
    variants = {
        "MultiBoxLoss": lambda: module(loc, conf, prior, truth)["y"].backward(),
        "softmax cross entropy of all priors": lambda: F.cross_entropy(
            conf.view(-1, CLASSES), labels
        ).backward(),
    }
    report(
        f"SSD-300's MultiBoxLoss, forward and backward of {TRAIN_ITEMS} images",
        interleaved(variants, rounds=20, warm_up=2),
        "MultiBoxLoss",
        "softmax cross entropy of all priors",
    )


if __name__ == "__main__":
    main()
