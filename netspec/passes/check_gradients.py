"""Warns where Caffe's backward pass loses a gradient that netspec gives."""

from __future__ import annotations

from netspec.diagnostics import Report, note
from netspec.graph import Blob, Net
from netspec.layers import find_spec


def check_gradients(net: Net, report: Report) -> None:
    """Reports each Flatten that in Caffe takes its bottom's gradient away from the bottom's layer.

    FlattenLayer::Backward makes the bottom's gradient share the top's memory, but the maker goes on
    reading where it was. A Split between them, as a second reader brings one, has a memory of its
    own.
    """
    flattens = [layer for layer in net.layers if layer.type == "Flatten" and layer.bottom_blobs]
    if report.failed or not flattens or not (net.phase == "TRAIN" or net.force_backward):
        return
    from netspec.passes.plan_backward import plan_backward  # only a net with a Flatten pays for it

    passing = plan_backward(net.layers, net.force_backward).passing
    for layer in flattens:
        bottom = layer.bottom_blobs[0]
        maker = _first_version(bottom).producer
        spec = find_spec(maker.spec_name)
        shares = spec is not None and spec.shares_gradient(maker)
        if not shares or (layer, 0) not in passing or len(bottom.consumers) > 1:
            continue
        message = (
            f"{layer.label}: Caffe loses the gradient of '{bottom.name}', which {maker.type} "
            f"makes for a Flatten; here it reaches {maker.label}"
        )
        hint = (
            "nets that Caffe trained had none below this layer; a Reshape in place of the Flatten "
            "passes it in Caffe too"
        )
        report.warning(
            message,
            layer.spans.at("bottom", 0),
            hint,
            [note(f"'{bottom.name}' is made here", maker.span)],
        )


def _first_version(blob: Blob) -> Blob:
    while blob.version > 0:
        blob = blob.producer.bottom_blobs[blob.top_index]
    return blob
