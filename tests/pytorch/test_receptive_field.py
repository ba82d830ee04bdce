"""A value outside of a place's receptive field does not change what stands there."""

from __future__ import annotations

import pytest
import torch

import netspec
from netspec.graph import Shape
from netspec.layers import all_specs
from netspec.layers.spec import Spec
from netspec.passes.receptive_field import receptive_field

# The first takes a batch's statistics, which do not count, in every phase; the second's places are
# those of a mask.
LEFT_OUT = {"BN (segnet)", "Upsample (segnet)"}
WITHOUT_PLACES = {"Flatten", "Reshape", "SPP", "SoftmaxWithLoss", "SegAccuracy", "Unpooling"}
SIZE = 14


def planes(shape: Shape) -> bool:
    return len(shape) == 4 and min(shape[2:]) >= SIZE


def shrunk(shape: Shape) -> Shape:
    return (*shape[:2], *(min(dim, SIZE) for dim in shape[2:])) if planes(shape) else shape


def specs() -> list[Spec]:
    return [
        spec
        for spec in all_specs().values()
        if not spec.is_source
        and not spec.not_computed
        and not spec.sizes_only
        and spec.keeps_places
        and spec.name not in LEFT_OUT
        and spec.example.bottoms
        and all(map(planes, spec.example.bottoms.values()))
    ]


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.name)
def test_only_what_lies_in_the_field_counts(spec: Spec) -> None:
    shapes = {name: shrunk(shape) for name, shape in spec.example.bottoms.items()}
    text = spec.example._replace(bottoms=shapes).text(spec.type)
    net = netspec.loads(text, dialect=spec.dialects[0] if spec.dialects else None)
    top = net.layers[-1].top_blobs[0]
    field = receptive_field(net)[top]
    if field is None:
        assert spec.type in WITHOUT_PLACES
        return
    module = netspec.compile(net, seed=1).eval()
    data = {name: torch.rand(shape) * 0.9 for name, shape in shapes.items()}
    before = module(**data)[top.name].clone()
    changed = False
    name = next(iter(shapes))
    for place in ((0, 0), (SIZE // 2, SIZE // 2), (SIZE - 1, 1)):
        other = data[name].clone()
        other[:, :, place[0], place[1]] += 0.6
        after = module(**{**data, name: other})[top.name]
        for found in (after != before).any(0).any(0).nonzero().tolist():
            changed = True
            for axis in (0, 1):
                centre = found[axis] * field.stride[axis] + field.offset[axis]
                assert abs(place[axis] - centre) < field.size[axis] / 2 + 1e-6
    assert changed
