"""Faster R-CNN's nets without its code: proposals, targets, and whole nets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from tests.boxes import greedy, iou, moved
from tests.nets import input_text, net_text

Load = Callable[..., Net]
# x1, y1, x2, y2 of ratios 0.5, 1, 2 and scales 8, 16, 32, as py-faster-rcnn's generate_anchors
# lists them
ANCHORS = np.array(
    [
        [-84, -40, 99, 55],
        [-176, -88, 191, 103],
        [-360, -184, 375, 199],
        [-56, -56, 71, 71],
        [-120, -120, 135, 135],
        [-248, -248, 263, 263],
        [-36, -80, 51, 95],
        [-80, -168, 95, 183],
        [-168, -344, 183, 359],
    ]
)


def python_text(module: str, layer: str, param_str: str) -> str:
    return (
        f'type: "Python" python_param {{ module: "{module}" layer: "{layer}" '
        f'param_str: "{param_str}" }}'
    )


PROPOSAL = python_text("rpn.proposal_layer", "ProposalLayer", "'feat_stride': 16")
ANCHOR_TARGET = python_text("rpn.anchor_target_layer", "AnchorTargetLayer", "'feat_stride': 16")
PROPOSAL_TARGET = python_text(
    "rpn.proposal_target_layer", "ProposalTargetLayer", "'num_classes': 3"
)
TARGETS = 'top: "labels" top: "targets" top: "inside" top: "outside"'
# conv5 is a sixteenth of the image, as VGG's
DEPLOY = "\n".join(
    [
        "{data}",
        """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
  num_output: 8 kernel_size: 3 pad: 1 stride: 4 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv5" type: "Convolution" bottom: "pool1" top: "conv5" convolution_param {
  num_output: 12 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "rpn_conv" type: "Convolution" bottom: "conv5" top: "rpn" convolution_param {
  num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "rpn_relu" type: "ReLU" bottom: "rpn" top: "rpn" }
layer { name: "rpn_cls_score" type: "Convolution" bottom: "rpn" top: "rpn_cls_score"
  convolution_param { num_output: 18 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "rpn_bbox_pred" type: "Convolution" bottom: "rpn" top: "rpn_bbox_pred"
  convolution_param { num_output: 36 kernel_size: 1 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "rpn_cls_score_reshape" type: "Reshape" bottom: "rpn_cls_score" top: "rpn_two"
  reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } } }
{rpn_loss}
layer { name: "rpn_cls_prob" type: "Softmax" bottom: "rpn_two" top: "rpn_prob" }
layer { name: "rpn_cls_prob_reshape" type: "Reshape" bottom: "rpn_prob" top: "rpn_objects"
  reshape_param { shape { dim: 0 dim: 18 dim: -1 dim: 0 } } }
layer { name: "proposal" bottom: "rpn_objects" bottom: "rpn_bbox_pred" bottom: "im_info"
  top: "{proposed}" {proposal} }
{roi_data}
layer { name: "roi_pool5" type: "ROIPooling" bottom: "conv5" bottom: "rois" top: "pool5"
  roi_pooling_param { pooled_w: 3 pooled_h: 3 spatial_scale: 0.0625 } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool5" top: "fc6"
  inner_product_param { num_output: 32 weight_filler { type: "xavier" } } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "cls_score" type: "InnerProduct" bottom: "fc6" top: "cls_score"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "fc6" top: "bbox_pred"
  inner_product_param { num_output: 12 weight_filler { type: "xavier" } } }
{end}
""",
    ]
)
RPN_LOSS = f"""
layer {{ name: "rpn-data" bottom: "rpn_cls_score" bottom: "gt_boxes" bottom: "im_info"
  bottom: "data" {TARGETS} {ANCHOR_TARGET} }}
layer {{ name: "rpn_loss_cls" type: "SoftmaxWithLoss" bottom: "rpn_two" bottom: "labels"
  top: "rpn_cls_loss" loss_weight: 1 loss_param {{ ignore_label: -1 normalize: true }} }}
layer {{ name: "rpn_loss_bbox" type: "SmoothL1Loss" bottom: "rpn_bbox_pred" bottom: "targets"
  bottom: "inside" bottom: "outside" top: "rpn_box_loss" loss_weight: 1
  smooth_l1_loss_param {{ sigma: 3.0 }} }}"""
ROI_DATA = f"""
layer {{ name: "roi-data" bottom: "rpn_rois" bottom: "gt_boxes" top: "rois" top: "classes"
  top: "box_targets" top: "box_inside" top: "box_outside" {PROPOSAL_TARGET} }}"""
LOSSES = """
layer { name: "loss_cls" type: "SoftmaxWithLoss" bottom: "cls_score" bottom: "classes"
  top: "loss_cls" loss_weight: 1 }
layer { name: "loss_bbox" type: "SmoothL1Loss" bottom: "bbox_pred" bottom: "box_targets"
  bottom: "box_inside" bottom: "box_outside" top: "loss_bbox" loss_weight: 1
  smooth_l1_loss_param { sigma: 1.0 } }"""


def filled(**parts: str) -> str:
    text = DEPLOY
    for name, part in ({"proposal": PROPOSAL} | parts).items():
        text = text.replace(f"{{{name}}}", part)
    return text


DEPLOY_NET = filled(
    data=f"{input_text('data', (1, 3, 160, 224))}\n{input_text('im_info', (1, 3))}",
    rpn_loss="",
    proposed="rois",
    roi_data="",
    end='layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "cls_prob" }',
)
TRAIN_NET = filled(
    data='layer { name: "input-data" top: "data" top: "im_info" top: "gt_boxes" '
    + python_text("roi_data_layer.layer", "RoIDataLayer", "'num_classes': 3")
    + " }",
    rpn_loss=RPN_LOSS,
    proposed="rpn_rois",
    roi_data=ROI_DATA,
    end=LOSSES,
)


def proposals(
    score: np.ndarray, delta: np.ndarray, info: np.ndarray, before: int = 6000, after: int = 300
) -> np.ndarray:
    """Score and region of every proposal, box by box."""
    height, width, scale = info
    boxes = []
    for y, x, a in np.ndindex(*score.shape[1:], 9):
        anchor = (ANCHORS[a] + 16 * np.array([x, y, x, y])).tolist()
        box = moved(anchor, delta[4 * a : 4 * a + 4, y, x], height, width)
        if box[2] - box[0] + 1 >= 16 * scale and box[3] - box[1] + 1 >= 16 * scale:
            boxes.append((float(score[9 + a, y, x]), box))
    boxes.sort(key=lambda each: -each[0])
    return np.array([[s, 0, *box] for s, box in greedy(boxes[:before], 0.7, after)])


@pytest.mark.parametrize(("phase", "most"), [("TRAIN", (12000, 2000)), ("TEST", (6000, 300))])
@pytest.mark.parametrize("small", [(700, 40), (150, 2000)])
def test_the_proposal_layer_box_by_box(
    phase: str, most: tuple[int, int], small: tuple[int, int]
) -> None:
    random = np.random.default_rng(0)
    size = (8, 11)
    score = (random.permutation(18 * 88).reshape(1, 18, *size) / 2000).astype(np.float32)
    delta = random.normal(0, 0.4, (1, 36, *size)).astype(np.float32)
    info = np.array([[400, 500, 3.7]], np.float32)
    net = netspec.loads(
        net_text(f'top: "rois" top: "z" {PROPOSAL}', s=(1, 18, 4, 5), d=(1, 36, 4, 5), i=(1, 3)),
        phase=phase,
    )
    assert [blob.shape for blob in net.layer("l").top_blobs] == [(1, 5), (1, 1, 1, 1)]
    module = netspec.compile(net)
    assert (module.l.before, module.l.after) == most
    module.l.before, module.l.after = small  # as many as the rule below can go through
    outputs = module(s=torch.from_numpy(score), d=torch.from_numpy(delta), i=torch.from_numpy(info))
    wanted = proposals(score[0], delta[0], info[0], *small)
    assert len(wanted) == 40 or 50 < len(wanted) < 150
    np.testing.assert_allclose(outputs["rois"], wanted[:, 1:], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(outputs["z"], wanted[:, :1], rtol=1e-5)


def test_scales_and_ratios_of_the_param_str(load_text: Load) -> None:
    text = PROPOSAL.replace("16", r"8\n'scales': [4, 6]\n'ratios': [1]")
    net = load_text(net_text(f'top: "r" {text}', s=(1, 4, 1, 1), d=(1, 8, 1, 1), i=(1, 3)))
    (rois,) = netspec.compile(net)(
        s=torch.tensor([0.0, 0, 1, 2]).view(1, 4, 1, 1),
        d=torch.zeros(1, 8, 1, 1),
        i=torch.tensor([[999.0, 999, 1]]),
    ).values()
    # anchors of 64 and 96 pixels around (7.5, 7.5), of which the image cuts off what is below 0
    assert rois.tolist() == [[0, 0, 0, 56, 56], [0, 0, 0, 40, 40]]


def test_a_deploy_net_proposes_what_the_rule_does_and_scores_it() -> None:
    torch.manual_seed(3)
    net = netspec.loads(DEPLOY_NET)
    module = netspec.compile(
        net, outputs=["rpn_objects", "rpn_bbox_pred", "rois", "cls_prob", "bbox_pred"], seed=3
    )
    for size in ((160, 224), (192, 256)):
        info = torch.tensor([[*size, 1.0]])
        found = module(data=torch.randn(1, 3, *size) * 9, im_info=info)
        values = [found[name].detach().numpy()[0] for name in ("rpn_objects", "rpn_bbox_pred")]
        wanted = proposals(values[0], values[1], info[0].numpy())
        assert len(wanted) > 20
        np.testing.assert_allclose(found["rois"], wanted[:, 1:], rtol=1e-4, atol=1e-2)
        assert found["cls_prob"].shape == (len(wanted), 3)
        assert found["bbox_pred"].shape == (len(wanted), 12)
        torch.testing.assert_close(found["cls_prob"].sum(1), torch.ones(len(wanted)))


BOXES = np.array([[20, 20, 130, 110, 1], [100, 60, 300, 280, 2], [5, 5, 9, 9, 1]], np.float32)


def deltas(anchor: np.ndarray, box: np.ndarray) -> list[float]:
    w, h = anchor[2] - anchor[0] + 1, anchor[3] - anchor[1] + 1
    bw, bh = box[2] - box[0] + 1, box[3] - box[1] + 1
    x, y = box[0] + bw / 2 - anchor[0] - w / 2, box[1] + bh / 2 - anchor[1] - h / 2
    return [x / w, y / h, log(bw / w), log(bh / h)]


def anchor_targets(boxes: np.ndarray, rows: int, columns: int, size: tuple[int, int]) -> tuple:
    """Labels before any are drawn, and targets: (H, W, A) and (H, W, A, 4)."""
    labels, targets = np.full((rows, columns, 9), -1.0), np.zeros((rows, columns, 9, 4))
    shared = {}
    for y, x, a in np.ndindex(rows, columns, 9):
        anchor = ANCHORS[a] + 16 * np.array([x, y, x, y])
        if min(anchor[:2]) >= 0 and anchor[2] < size[1] and anchor[3] < size[0]:
            shared[y, x, a] = [iou(anchor.tolist(), box[:4].tolist()) for box in boxes]
            best = int(np.argmax(shared[y, x, a]))
            targets[y, x, a] = deltas(anchor, boxes[best])
    greatest = np.max(list(shared.values()), 0)
    for place, each in shared.items():
        if max(each) < 0.3:
            labels[place] = 0
        if max(each) >= 0.7 or any(np.array(each) == greatest):
            labels[place] = 1
    return labels, targets


def run_anchor_targets(rows: int, columns: int, size: tuple[int, int], seed: int = 0) -> list:
    text = net_text(f"{TARGETS} {ANCHOR_TARGET}", s=(1, 18, 2, 2), boxes=(1, 5), i=(1, 3))
    module = netspec.compile(netspec.loads(text, phase="TRAIN"))
    torch.manual_seed(seed)
    outputs = module(
        s=torch.zeros(1, 18, rows, columns),
        boxes=torch.from_numpy(BOXES),
        i=torch.tensor([[*size, 1.0]]),
    )
    labels, *rest = (outputs[name] for name in ("labels", "targets", "inside", "outside"))
    assert labels.shape == (1, 1, 9 * rows, columns)
    maps = [each.view(9, 4, rows, columns).permute(2, 3, 0, 1).numpy() for each in rest]
    return [labels.view(9, rows, columns).permute(1, 2, 0).numpy(), *maps]


def test_few_anchors_get_the_labels_and_targets_of_the_rule() -> None:
    labels, targets, inside, outside = run_anchor_targets(20, 22, (320, 350))
    wanted, wanted_targets = anchor_targets(BOXES, 20, 22, (320, 350))
    counted = {value: (wanted == value).sum() for value in (1, 0)}
    assert counted[1] < 128  # all objects stay
    assert counted[0] + counted[1] > 256  # background goes
    np.testing.assert_array_equal(labels == 1, wanted == 1)
    assert set(np.unique(wanted[labels == 0])) == {0}
    assert (labels >= 0).sum() == 256
    np.testing.assert_allclose(targets, wanted_targets, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(inside, np.repeat((labels == 1)[..., None], 4, -1))
    np.testing.assert_allclose(outside, np.repeat((labels >= 0)[..., None], 4, -1) / 256)


def test_anchors_are_drawn_by_the_seed() -> None:
    first, again, other = (run_anchor_targets(20, 22, (320, 350), seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def run_proposal_targets(rois: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    tops = " ".join(f'top: "{name}"' for name in "abcde")
    net = netspec.loads(net_text(f"{tops} {PROPOSAL_TARGET}", rois=(1, 5), boxes=(1, 5)))
    assert [blob.shape for blob in net.layer("l").top_blobs] == [(1, 5), (1, 1), *[(1, 12)] * 3]
    outputs = netspec.compile(net)(rois=torch.from_numpy(rois), boxes=torch.from_numpy(boxes))
    return [outputs[name].numpy() for name in "abcde"]


@pytest.mark.parametrize("count", [20, 900])
def test_regions_to_learn_from(count: int) -> None:
    random = np.random.default_rng(count)
    near = BOXES[random.integers(0, 2, count), :4] + random.integers(-45, 46, (count, 4))
    rois = np.column_stack((np.zeros(count), near)).astype(np.float32)
    regions, labels, targets, inside, outside = run_proposal_targets(rois, BOXES)
    known = np.vstack((rois, np.column_stack((np.zeros(3), BOXES[:, :4])))).astype(np.float32)
    shared = np.array([[iou(r[1:].tolist(), b[:4].tolist()) for b in BOXES] for r in known])
    objects = (shared.max(1) >= 0.5).sum()
    assert (labels > 0).sum() == min(32, objects)
    assert len(labels) == min(128, min(32, objects) + (len(known) - objects))
    assert len(np.unique(regions, axis=0)) == len(regions)  # drawn without replacement
    for region, label, target, weight in zip(regions, labels, targets, inside, strict=True):
        (place,) = np.flatnonzero((known == region).all(1))
        best = int(shared[place].argmax())
        wanted, wanted_weight = np.zeros(12), np.zeros(12)
        if shared[place].max() >= 0.5:
            assert label == BOXES[best, 4]
            own = slice(4 * int(label), 4 * int(label) + 4)
            wanted[own] = deltas(region[1:], BOXES[best]) / np.array([0.1, 0.1, 0.2, 0.2])
            wanted_weight[own] = 1
        else:
            assert label == 0
        np.testing.assert_allclose(target, wanted, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(weight, wanted_weight)
    np.testing.assert_array_equal(inside, outside)


def test_faults_of_the_boxes_are_reported() -> None:
    rois = np.zeros((2, 5), np.float32)
    with pytest.raises(NetspecError, match=r"box 1 is of class 7, but there are 3 \(0 to 2\)"):
        run_proposal_targets(rois, np.array([[0, 0, 9, 9, 1], [0, 0, 9, 9, 7]], np.float32))
    with pytest.raises(NetspecError, match="the image has no boxes, expected at least one"):
        run_proposal_targets(rois, np.zeros((0, 5), np.float32))
    with pytest.raises(NetspecError, match="takes one image at a time"):
        run_proposal_targets(rois + 1, BOXES)


def test_a_train_net_learns_end_to_end() -> None:
    net = netspec.loads(TRAIN_NET, phase="TRAIN")
    assert net.sources == ["data", "im_info", "gt_boxes"]
    assert net.blobs["data"].shape == (1, 3, 600, 1000)
    module = netspec.compile(net, seed=1)
    torch.manual_seed(1)
    outputs = module(
        data=torch.randn(1, 3, 320, 352),
        im_info=torch.tensor([[320.0, 352, 1]]),
        gt_boxes=torch.from_numpy(BOXES),
    )
    names = ("loss_bbox", "loss_cls", "rpn_box_loss", "rpn_cls_loss")
    assert all(outputs[name].item() > 0 for name in names)
    module.loss(outputs).backward()
    for name, (weight, *_) in module.params.items():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_the_shapes_of_a_data_layer_may_be_given_and_its_data_are_not_read() -> None:
    net = netspec.loads(
        TRAIN_NET, phase="TRAIN", inputs={"data": (1, 3, 320, 480), "gt_boxes": (4, 5)}
    )
    assert net.blobs["data"].shape == (1, 3, 320, 480)
    assert net.blobs["im_info"].shape == (1, 3)
    with pytest.raises(NetspecError, match="its data are an roidb, which py-faster-rcnn's own"):
        next(netspec.batches(net))


WRONG = [
    ("'feat_stride': 16", "'feat_stride': x", "takes a whole number of 1 or more, got x"),
    ("'feat_stride': 16", "'feat_stride': [1, 2]", "takes a whole number of 1 or more, got 1, 2"),
    ("'feat_stride': 16", "'scales': [8]", "'param_str' must give 'feat_stride'"),
    ("'feat_stride': 16", "'feat_strides': 16", "'param_str' has no key 'feat_strides' here"),
    ("'feat_stride': 16", "{{{{", "'param_str' is not YAML"),
    (
        "'feat_stride': 16",
        r"'feat_stride': 16\n'ratios': [0]",
        "'ratios' in 'param_str' takes a list of numbers greater than 0, got 0",
    ),
    ("1 dim: 18", "1 dim: 20", "'s' must have 18 channels for its anchors"),
    ("1 dim: 18", "2 dim: 18", "takes one image at a time, 's' has 2"),
    ("dim: 1 dim: 3 }", "dim: 1 dim: 2 }", "'i' must be 1×3 (height, width, scale), got 1×2"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), WRONG)
def test_a_fault_is_reported(load_text: Load, right: str, wrong: str, message: str) -> None:
    text = net_text(f'top: "r"\n{PROPOSAL}', s=(1, 18, 4, 5), d=(1, 36, 4, 5), i=(1, 3))
    assert right in text
    with pytest.raises(NetspecError) as caught:
        load_text(text.replace(right, wrong))
    fault = caught.value.diagnostics[0]
    assert message in fault.message
    assert fault.message.startswith("layer 'l': ")
    assert fault.span.line == (5 if "feat" in right else 4)


@pytest.fixture
def own_module(tmp_path: Path) -> Path:
    """A net beside a module of py-faster-rcnn's name whose code is another."""
    (tmp_path / "rpn").mkdir()
    (tmp_path / "rpn" / "__init__.py").write_text("")
    (tmp_path / "rpn" / "proposal_layer.py").write_text(
        "import caffe\n"
        "class ProposalLayer(caffe.Layer):\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(2, 5)\n"
        "    def forward(self, bottom, top): top[0].data[...] = 7\n"
    )
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(f'top: "r" {PROPOSAL}', s=(1, 18, 4, 5), d=(1, 36, 4, 5), i=(1, 3)))
    return path


def test_a_users_own_module_runs_where_python_layers_are_allowed(own_module: Path) -> None:
    net = netspec.load(own_module, allow_python_layers=True)
    assert net.layer("l").spec_name == "Python"
    (rois,) = netspec.compile(net)(
        s=torch.zeros(1, 18, 4, 5), d=torch.zeros(1, 36, 4, 5), i=torch.zeros(1, 3)
    ).values()
    assert rois.tolist() == [[7.0] * 5] * 2


def test_a_users_own_module_is_reported_where_it_may_not_run(own_module: Path) -> None:
    report = Report()
    net = netspec.load(own_module, report=report)
    assert net.layer("l").spec_name == "Python (ProposalLayer)"
    (fault,) = report.diagnostics
    assert fault.severity == "warning"
    assert "netspec's own 'ProposalLayer' runs in place of the one in" in fault.message
    assert "rpn" not in sys.modules


def test_without_a_module_the_stand_in_runs_even_where_python_layers_are_allowed() -> None:
    net = netspec.loads(DEPLOY_NET, allow_python_layers=True)
    assert net.layer("proposal").spec_name == "Python (ProposalLayer)"
