"""MultiBoxLoss against the same rule written with loops, in settings that no record has."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.schema.forks_pb2 import MultiBoxLossParameter, PriorBoxParameter
from tests.nets import net_text

Load = Callable[..., Net]
ITEMS, PRIORS = 3, 14
TINY = float(np.finfo(np.float32).tiny)


def overlap(a: Any, b: Any) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = [max(x[2] - x[0], 0) * max(x[3] - x[1], 0) for x in (a, b)]
    return w * h / (sum(area) - w * h)


def decoded(p: Any, prior: Any, v: Any, t: Any) -> np.ndarray:
    t = t if p.encode_variance_in_target else t * v
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    if p.code_type == PriorBoxParameter.CORNER:
        return prior + t
    if p.code_type == PriorBoxParameter.CORNER_SIZE:
        return prior + t * np.array([w, h, w, h])
    x, y = (prior[0] + prior[2]) / 2 + t[0] * w, (prior[1] + prior[3]) / 2 + t[1] * h
    w, h = w * np.exp(t[2]), h * np.exp(t[3])
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def encoded(p: Any, prior: Any, v: Any, box: Any) -> np.ndarray:
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    if p.code_type == PriorBoxParameter.CENTER_SIZE:
        x, y = (box[:2] + box[2:]) / 2 - (prior[:2] + prior[2:]) / 2
        t = np.array([x / w, y / h, np.log((box[2] - box[0]) / w), np.log((box[3] - box[1]) / h)])
    else:
        t = box - prior
        if p.code_type == PriorBoxParameter.CORNER_SIZE:
            t = t / np.array([w, h, w, h])
    return t if p.encode_variance_in_target else t / v


def match(p: Any, boxes: Any, true: Any) -> tuple[list[int], list[float]]:
    index, best = [-1] * len(boxes), [0.0] * len(boxes)
    table = {}
    for i, box in enumerate(boxes):
        if p.ignore_cross_boundary_bbox and ((box < 0) | (box > 1)).any():
            index[i] = -2
            continue
        for j, other in enumerate(true):
            value = overlap(box, other)
            if value > 1e-6:
                table[i, j] = value
                best[i] = max(best[i], value)
    left = list(range(len(true)))
    while left:
        pairs = [(i, j) for i, j in table if index[i] == -1 and j in left]
        if not pairs:
            break
        i, j = max(pairs, key=lambda pair: (table[pair], -pair[0], -pair[1]))
        index[i], best[i] = j, table[i, j]
        left.remove(j)
    if p.match_type == MultiBoxLossParameter.PER_PREDICTION:
        for i in range(len(boxes)):
            near = [j for j in range(len(true)) if table.get((i, j), -1) >= p.overlap_threshold]
            if index[i] == -1 and near:
                index[i] = max(near, key=lambda j: (table[i, j], -j))
    return index, best


def conf_terms(p: Any, scores: Any, targets: Any) -> float:
    """`targets` is a label, or a target for each class."""
    if p.conf_loss_type == MultiBoxLossParameter.SOFTMAX:
        e = np.exp(scores - scores.max())
        return float(-np.log(max(e[targets] / e.sum(), TINY)))
    return float((np.logaddexp(0, scores) - scores * targets).sum())


def loc_terms(p: Any, t: Any, prior: Any, v: Any, box: Any) -> float:
    target = encoded(p, prior, v, box)
    if p.bp_inside:
        seen = prior if p.use_prior_for_matching else decoded(p, prior, v, t)
        t = np.where((seen < 0) | (seen > 1), target, t)
    d = np.abs(t - target) / (v if p.encode_variance_in_target else 1)
    squares = d * d / 2
    if p.loc_loss_type == MultiBoxLossParameter.L2:
        return float(squares.sum())
    return float(np.where(d < 1, squares, d - 0.5).sum())


def nms(p: Any, boxes: list, losses: list) -> list[int]:
    order = sorted(range(len(boxes)), key=lambda i: -losses[i])[: p.nms_param.top_k]
    kept: list[int] = []
    for i in order:
        w, h = boxes[i][2:] - boxes[i][:2]
        if min(w, h) < 0 or w * h < 1e-5:
            continue
        if all(overlap(boxes[i], boxes[k]) <= p.nms_param.nms_threshold for k in kept):
            kept.append(i)
    return kept


def one_hot(p: Any, label: int, fill: float = 0) -> np.ndarray:
    target = np.full(p.num_classes, fill, float)
    target[label] = 1
    return target


def reference(p: Any, feed: dict[str, np.ndarray], normalization: str) -> float:
    loc, conf, prior, gt = (feed[k].astype(float) for k in ("loc", "conf", "prior", "gt"))
    boxes, variances = prior.reshape(2, -1, 4)
    entries = 1 if p.share_location else p.num_classes
    loc = loc.reshape(ITEMS, PRIORS, entries, 4)
    conf = conf.reshape(ITEMS, PRIORS, p.num_classes)
    softmax = p.conf_loss_type == MultiBoxLossParameter.SOFTMAX
    mining, background = p.mining_type, p.background_label_id
    loc_sum = conf_sum = 0.0
    matches = 0
    targets = np.full(ITEMS * PRIORS * p.num_classes, background, float)
    labels = np.full((ITEMS, PRIORS), background)
    for n in range(ITEMS):
        true = [r for r in gt.reshape(-1, 8) if r[0] == n and (p.use_difficult_gt or not r[7])]
        corners = [r[3:7] for r in true]
        moved = list(boxes)
        if "arm_loc" in feed:
            arm = feed["arm_loc"].astype(float).reshape(ITEMS, PRIORS, 4)[n]
            moved = [decoded(p, *row) for row in zip(boxes, variances, arm, strict=True)]
        index = {}
        for c in range(entries) if true else ():
            seen = [decoded(p, boxes[i], variances[i], loc[n, i, c]) for i in range(PRIORS)]
            if p.use_prior_for_matching:
                found, best = match(p, moved, corners)
                if not p.share_location:
                    found = [g if g >= 0 and true[g][1] == c else -1 for g in found]
                index[c] = found
            elif p.share_location:
                index[c], best = match(p, seen, corners)
            elif c != background:
                own = [g for g, r in enumerate(true) if r[1] == c]
                found, best = match(p, seen, [corners[g] for g in own])
                index[c] = [own[g] if g >= 0 else g for g in found] if own else [-1] * PRIORS
        negatives: list[int] = []
        if true and mining != MultiBoxLossParameter.NONE:
            found = index[0]
            loss = []
            for i in range(PRIORS):
                label = int(true[found[i]][1]) if found[i] >= 0 else background
                value = conf_terms(p, conf[n, i], label if softmax else one_hot(p, label))
                hard = mining == MultiBoxLossParameter.HARD_EXAMPLE
                if hard and found[i] >= 0:
                    value += loc_terms(p, loc[n, i, 0], boxes[i], variances[i], corners[found[i]])
                loss.append(value)
            pool = [
                i for i in range(PRIORS) if hard or (found[i] == -1 and best[i] < p.neg_overlap)
            ]
            listed = pool
            if "arm_conf" in feed:
                arm_conf = feed["arm_conf"].reshape(ITEMS, PRIORS, 2)
                listed = [i for i in pool if arm_conf[n, i, 1] >= np.float32(p.objectness_score)]
            count = sum(g >= 0 for g in found) * p.neg_pos_ratio
            count = min(p.sample_size if hard else int(count), len(listed))
            if p.HasField("nms_param") and p.nms_param.nms_threshold > 0:
                shown = [
                    boxes[i]
                    if p.use_prior_for_nms
                    else decoded(p, boxes[i], variances[i], loc[n, i, 0])
                    for i in pool
                ]
                kept = nms(p, shown, [loss[i] for i in pool])[:count]
                chosen = {listed[k] for k in kept if k < len(listed)}
            else:
                chosen = set(sorted(listed, key=lambda i: -loss[i])[:count])
            negatives = [i for i in sorted(chosen) if found[i] == -1]
            if hard:
                index[0] = [g if g < 0 or i in chosen else -1 for i, g in enumerate(found)]
        for c, found in index.items():
            for i, g in enumerate(found):
                if g < 0:
                    continue
                matches += 1
                loc_sum += loc_terms(p, loc[n, i, c], moved[i], variances[i], corners[g])
                label = background + 1 if p.map_object_to_agnostic else int(true[g][1])
                targets[n * PRIORS + i * p.num_classes + label] = 1
                labels[n, i] = label
                if mining != MultiBoxLossParameter.NONE:
                    target = label if softmax else one_hot(p, label, background)
                    conf_sum += conf_terms(p, conf[n, i], target)
        target = background if softmax else one_hot(p, background, background)
        conf_sum += sum(conf_terms(p, conf[n, i], target) for i in negatives)
    if mining == MultiBoxLossParameter.NONE:
        rows = conf.reshape(-1, p.num_classes)
        wanted = labels.flatten() if softmax else targets.reshape(rows.shape)
        conf_sum = sum(conf_terms(p, *row) for row in zip(rows, wanted, strict=True))
    sizes = {"VALID": matches, "FULL": ITEMS * PRIORS, "BATCH_SIZE": ITEMS, "NONE": 1}
    return (p.loc_weight * loc_sum + conf_sum) / max(1, sizes[normalization])


def values(classes: int, entries: int, arm: int, seed: int) -> dict[str, np.ndarray]:
    """Predictions near the truth, so that matching them finds something."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(-0.05, 0.75, (PRIORS, 2))
    boxes = np.concatenate((low, low + rng.uniform(0.15, 0.4, (PRIORS, 2))), 1)
    rows = []
    for k, image in enumerate([0, 0, 2, -1, 2, 0]):
        box = boxes[(3 * k) % PRIORS] + rng.normal(0, 0.03, 4)
        rows.append([image, 1 + k % (classes - 1), k, *box, k == 1])
    feed = {
        "loc": rng.normal(0, 0.6, (ITEMS, PRIORS * entries * 4)),
        "conf": rng.normal(0, 2, (ITEMS, PRIORS * classes)),
        "prior": np.stack((boxes, rng.uniform(0.1, 0.3, boxes.shape))).reshape(1, 2, -1),
        "gt": np.array(rows, float).reshape(1, 1, -1, 8),
        "arm_conf": rng.uniform(0, 1, (ITEMS, PRIORS * 2)),
        "arm_loc": rng.normal(0, 0.4, (ITEMS, PRIORS * 4)),
    }
    return {name: value.astype(np.float32) for name, value in list(feed.items())[: 4 + arm]}


CENTER = "code_type: CENTER_SIZE"
SETTINGS = [
    ("num_classes: 4 code_type: CORNER_SIZE overlap_threshold: 0.4", 0),
    (f"num_classes: 4 {CENTER} match_type: BIPARTITE loc_weight: 0.5 neg_pos_ratio: 1.4", 0),
    (f"num_classes: 4 {CENTER} use_prior_for_matching: false overlap_threshold: 0.2", 0),
    (f"num_classes: 4 {CENTER} conf_loss_type: LOGISTIC use_difficult_gt: false", 0),
    ("num_classes: 4 ignore_cross_boundary_bbox: true neg_overlap: 0.3 loc_loss_type: L2", 0),
    (f"num_classes: 4 {CENTER} bp_inside: true overlap_threshold: 0.3", 0),
    (f"num_classes: 4 {CENTER} bp_inside: true use_prior_for_matching: false", 0),
    ("num_classes: 4 encode_variance_in_target: true code_type: CORNER_SIZE", 0),
    (f"num_classes: 2 {CENTER} map_object_to_agnostic: true", 0),
    ("num_classes: 2 mining_type: NONE map_object_to_agnostic: true conf_loss_type: LOGISTIC", 0),
    (f"num_classes: 4 {CENTER} mining_type: NONE share_location: false", 0),
    (
        f"num_classes: 4 {CENTER} mining_type: NONE share_location: false "
        "use_prior_for_matching: false overlap_threshold: 0.1",
        0,
    ),
    (
        f"num_classes: 4 {CENTER} mining_type: NONE share_location: false "
        "use_prior_for_matching: false overlap_threshold: 0.1 conf_loss_type: LOGISTIC",
        0,
    ),
    ("num_classes: 4 mining_type: HARD_EXAMPLE sample_size: 5 overlap_threshold: 0.3", 0),
    (
        "num_classes: 4 mining_type: HARD_EXAMPLE sample_size: 5 "
        "nms_param { nms_threshold: 0.2 top_k: 9 } use_prior_for_nms: true",
        0,
    ),
    (f"num_classes: 4 {CENTER} nms_param {{ nms_threshold: 0.1 top_k: 6 }}", 0),
    ("num_classes: 4 nms_param { nms_threshold: 0 }", 0),
    ("num_classes: 4 nms_param { }", 0),
    (f"num_classes: 4 {CENTER} objectness_score: 0.5", 1),
    (
        f"num_classes: 4 {CENTER} objectness_score: 0.5 mining_type: HARD_EXAMPLE sample_size: 9 "
        "overlap_threshold: 0.2",
        2,
    ),
    (f"num_classes: 4 {CENTER} nms_param {{ nms_threshold: 0.3 top_k: 9 }}", 2),
    ("num_classes: 4 encode_variance_in_target: true overlap_threshold: 0.3", 2),
]


def module_for(load_text: Load, settings: str, feed: dict[str, np.ndarray], extra: str = "") -> Any:
    shapes = {name: value.shape for name, value in feed.items()}
    text = f'type: "MultiBoxLoss" top: "y" multibox_loss_param {{ {settings} }} {extra}'
    return netspec.compile(load_text(net_text(text, **shapes), phase="TRAIN"))


def parsed(settings: str) -> Any:
    from google.protobuf import text_format

    return text_format.Parse(settings, MultiBoxLossParameter())


@pytest.mark.parametrize(("settings", "arm"), SETTINGS)
def test_it_gives_what_the_rule_gives(load_text: Load, settings: str, arm: int) -> None:
    p = parsed(settings)
    entries = 1 if p.share_location else p.num_classes
    for seed in range(4):
        feed = values(p.num_classes, entries, arm, seed)
        module = module_for(load_text, settings, feed)
        tensors = {name: torch.from_numpy(value) for name, value in feed.items()}
        got = float(module(**tensors)["y"])
        assert got == pytest.approx(reference(p, feed, "VALID"), rel=1e-4), seed


@pytest.mark.parametrize("mode", ["VALID", "FULL", "BATCH_SIZE", "NONE"])
def test_the_normaliser(load_text: Load, mode: str) -> None:
    settings = "num_classes: 4 overlap_threshold: 0.3"
    feed = values(4, 1, 0, 7)
    module = module_for(load_text, settings, feed, f"loss_param {{ normalization: {mode} }}")
    got = float(module(**{k: torch.from_numpy(v) for k, v in feed.items()})["y"])
    assert got == pytest.approx(reference(parsed(settings), feed, mode), rel=1e-4)


@pytest.mark.parametrize("settings", ["", "conf_loss_type: LOGISTIC mining_type: NONE"])
def test_its_gradient_is_the_derivative_with_the_matches_as_they_are(
    load_text: Load, settings: str
) -> None:
    feed = {k: torch.from_numpy(v) for k, v in values(4, 1, 0, 1).items()}
    settings = f"num_classes: 4 {CENTER} neg_pos_ratio: 9 {settings}"
    module = module_for(load_text, settings, {k: v.numpy() for k, v in feed.items()})
    for name in ("loc", "conf"):
        feed[name].requires_grad_(True)
    module(**feed)["y"].backward()
    with torch.no_grad():
        for name in ("loc", "conf"):
            step = torch.randn(feed[name].shape, generator=torch.Generator().manual_seed(0)) * 1e-3
            sides = [float(module(**{**feed, name: feed[name] + s * step})["y"]) for s in (1, -1)]
            slope = float((feed[name].grad * step).sum())
            assert (sides[0] - sides[1]) / 2 == pytest.approx(slope, rel=2e-2, abs=2e-6)


def test_a_part_without_a_gradient_is_left_out_of_the_value(load_text: Load) -> None:
    feed = values(4, 1, 0, 1)
    tensors = {k: torch.from_numpy(v) for k, v in feed.items()}
    parts = []
    for flags in ("true true", "true false", "false true"):
        words = [f"propagate_down: {flag}" for flag in (*flags.split(), "false", "false")]
        module = module_for(load_text, "num_classes: 4", feed, " ".join(words))
        parts.append(float(module(**tensors)["y"]))
    assert parts[0] == pytest.approx(parts[1] + parts[2], rel=1e-5)
    assert min(parts) > 0


def test_two_forward_passes_give_the_same(load_text: Load) -> None:
    feed = values(4, 1, 0, 1)
    module = module_for(load_text, "num_classes: 4", feed)
    tensors = {k: torch.from_numpy(v) for k, v in feed.items()}
    assert torch.equal(module(**tensors)["y"], module(**tensors)["y"])


def test_its_module_can_be_copied_and_pickled(load_text: Load) -> None:
    feed = {k: torch.from_numpy(v) for k, v in values(4, 1, 0, 1).items()}
    settings = "num_classes: 4 nms_param { nms_threshold: 0.2 top_k: 9 }"
    module = module_for(load_text, settings, {k: v.numpy() for k, v in feed.items()})
    for other in (deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(**feed)["y"], module(**feed)["y"])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (0, "item 0 of the batch has a true box with label 0, which is the background's"),
        (4, "item 0 of the batch has a true box with label 4, but there are 4 classes (0 to 3)"),
    ],
)
def test_a_wrong_label_is_reported_with_its_item(load_text: Load, label: int, message: str) -> None:
    feed = values(4, 1, 0, 1)
    feed["gt"][0, 0, 1, 1] = label
    module = module_for(load_text, "num_classes: 4", feed)
    with pytest.raises(NetspecError) as caught:
        module(**{k: torch.from_numpy(v) for k, v in feed.items()})
    assert message in caught.value.diagnostics[0].message


def test_with_two_classes_every_object_is_one(load_text: Load) -> None:
    """RefineDet's first stage; SSD's own layer stops at such a label."""
    feed = values(2, 1, 0, 1)
    tensors = {k: torch.from_numpy(v) for k, v in feed.items()}
    module = module_for(load_text, f"num_classes: 2 {CENTER}", feed)
    wanted = module(**tensors)["y"]
    tensors["gt"][0, 0, :, 1] += 7
    assert torch.equal(module(**tensors)["y"], wanted)


def test_a_prior_without_a_width_is_refused_where_it_is_divided_by(load_text: Load) -> None:
    feed = values(4, 1, 2, 1)
    feed["prior"][0, 0, 8:12] = 0.5
    module = module_for(load_text, f"num_classes: 4 {CENTER}", feed)
    with pytest.raises(NetspecError, match=r"prior box 2 .* has no width or no height"):
        module(**{k: torch.from_numpy(v) for k, v in feed.items()})


WRONG = [
    ("", "'num_classes' is missing"),
    ("num_classes: 4 share_location: false", "mining needs 'share_location' true"),
    ("num_classes: 4 mining_type: HARD_EXAMPLE sample_size: 0", "'sample_size' must be above 0"),
    (
        "num_classes: 4 do_neg_mining: false",
        "'do_neg_mining' false does not agree with 'mining_type' MAX_NEGATIVE",
    ),
    ("num_classes: 4 background_label_id: 4", "'background_label_id' 4 is out of range"),
    ("num_classes: 4 map_object_to_agnostic: true", "'map_object_to_agnostic' needs 'num_cl"),
    ("num_classes: 3", "'conf' (3×56) must hold 42 values an item"),
    ("num_classes: 4 ignore_difficult_gt: true", "'ignore_difficult_gt' is not carried out"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_a_fault_is_reported(load_text: Load, settings: str, message: str) -> None:
    with pytest.raises(NetspecError) as caught:
        module_for(load_text, settings, values(4, 1, 0, 1))
    assert message in caught.value.diagnostics[0].message


def test_no_gradient_goes_to_priors_and_true_boxes(load_text: Load) -> None:
    flags = " ".join(f"propagate_down: {flag}" for flag in ("true", "true", "true", "false"))
    with pytest.raises(NetspecError, match="sends no gradient to 'prior'"):
        module_for(load_text, "num_classes: 4", values(4, 1, 0, 1), flags)


def test_it_says_that_it_cannot_be_exported(load_text: Load) -> None:
    feed = values(4, 1, 0, 1)
    module = module_for(load_text, "num_classes: 4", feed)
    tensors = {k: torch.from_numpy(v) for k, v in feed.items()}
    with pytest.raises(Exception, match="MultiBoxLoss can't be exported"):
        torch.export.export(module, (), tensors, strict=False)
