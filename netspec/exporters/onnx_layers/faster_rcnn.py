"""Faster R-CNN's proposals; what its training compares them with is not exported."""

from __future__ import annotations

import numpy as np

from netspec.exporters.onnx_graph import OnnxGraph
from netspec.exporters.onnx_layers.regions import Rule, emit_proposals
from netspec.layers import faster_rcnn as specs
from netspec.layers.param_str import settings_of


def emit_proposal_layer(graph: OnnxGraph) -> None:
    settings = settings_of(graph.layer, specs.ProposalLayer.keys)
    before, after = specs.TOP_N[graph.layer.phase]
    rule = Rule(
        np.array(specs.anchors(settings["ratios"], settings["scales"]), np.float32),
        settings["feat_stride"],
        specs.MIN_SIZE,
        before,
        after,
        specs.NMS_THRESHOLD,
        False,
    )
    emit_proposals(graph, rule, (2, 2))


EMITTERS = {"Python (ProposalLayer)": emit_proposal_layer}
