"""A net as Caffe saves it → as it was written: without the Split layers that Caffe inserts."""

from __future__ import annotations

from netspec.schema.caffe_pb2 import LayerParameter, NetParameter


def drop_splits(net: NetParameter) -> None:
    """Takes out the Split layers that Caffe inserts where several layers read a blob.

    Those who read a copy read the blob again. A loss weight goes back to the layer whose top it is.

    Source: InsertSplits, which names a layer <blob>_<layer>_<index of the top>_split and its tops
    after it.
    """
    originals: dict[str, str] = {}
    makers: dict[str, LayerParameter] = {}
    kept: list[LayerParameter] = []
    for layer in net.layer:
        for i, name in enumerate(layer.bottom):
            layer.bottom[i] = originals.get(name, name)
        if _is_inserted(layer):
            originals |= dict.fromkeys(layer.top, layer.bottom[0])
            if layer.loss_weight and layer.bottom[0] in makers:
                _give_back(makers[layer.bottom[0]], layer)
            continue
        makers |= dict.fromkeys(layer.top, layer)
        kept.append(layer)
    copies = [LayerParameter.FromString(layer.SerializeToString()) for layer in kept]
    del net.layer[:]
    net.layer.extend(copies)


def _is_inserted(layer: LayerParameter) -> bool:
    return (
        layer.type == "Split"
        and len(layer.bottom) == 1
        and layer.name.startswith(f"{layer.bottom[0]}_")
        and layer.name.endswith("_split")
        and all(top == f"{layer.name}_{i}" for i, top in enumerate(layer.top))
    )


def _give_back(maker: LayerParameter, split: LayerParameter) -> None:
    weights = [*maker.loss_weight, *[0.0] * (len(maker.top) - len(maker.loss_weight))]
    weights[list(maker.top).index(split.bottom[0])] = split.loss_weight[0]
    maker.loss_weight[:] = weights
