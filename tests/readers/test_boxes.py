"""The arithmetic of boxes and the batch samplers, against the rules written out box by box."""

import numpy as np
import pytest

from netspec.readers.batch_sampler import draw_patch, sampled_patch, satisfies
from netspec.readers.boxes import Boxes, area, coverage, emitted, jaccard, mirrored, project
from netspec.schema.forks_pb2 import BatchSampler, EmitConstraint, SampleConstraint, Sampler


def some_boxes(count=40, seed=0):
    low = np.random.default_rng(seed).random((count, 2)) * 0.7
    size = np.random.default_rng(seed + 1).random((count, 2)) * 0.5
    return np.concatenate([low, low + size], axis=1).astype(np.float32)


def common(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return float(width) * float(height) if width > 0 and height > 0 else 0.0


def size(box):
    return float(box[2] - box[0]) * float(box[3] - box[1])


def test_overlaps():
    boxes = some_boxes()
    for box in some_boxes(6, 9):
        inside = [common(box, other) for other in boxes]
        want = [i / (size(box) + size(b) - i) for i, b in zip(inside, boxes, strict=True)]
        np.testing.assert_allclose(jaccard(box, boxes), want, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(
            coverage(area(box), box, boxes), [i / size(box) for i in inside], rtol=1e-4, atol=1e-7
        )
        shares = [i / size(b) for i, b in zip(inside, boxes, strict=True)]
        np.testing.assert_allclose(coverage(area(boxes), box, boxes), shares, rtol=1e-4, atol=1e-7)


def test_an_inverted_box_has_no_area():
    assert area(np.array([[0.5, 0, 0.2, 1]], np.float32)).tolist() == [0]


def test_project():
    source = np.array([0.25, 0.5, 0.75, 1], np.float32)
    boxes = np.array([[0, 0.6, 0.5, 0.8], [0.75, 0.5, 1, 1], [0.1, 0.1, 0.9, 0.5]], np.float32)
    projected, there = project(source, boxes)
    assert there.tolist() == [True, False, False]  # what only touches is not there
    np.testing.assert_allclose(projected[0], [0, 0.2, 0.5, 0.6], atol=1e-6)


def test_emit_constraints():
    source = np.array([0, 0, 0.5, 0.5], np.float32)
    boxes = np.array([[0.3, 0.3, 0.7, 0.7], [0.4, 0.4, 0.7, 0.7], [0, 0, 0.6, 0.5]], np.float32)
    assert emitted(source, boxes, EmitConstraint()).tolist() == [True, False, True]
    least = EmitConstraint(emit_type=EmitConstraint.MIN_OVERLAP, emit_overlap=0.25)
    assert emitted(source, boxes, least).tolist() == [False, False, True]  # more than a quarter


def test_mirror():
    got = mirrored(np.array([[0.1, 0.2, 0.4, 0.9]], np.float32))
    np.testing.assert_allclose(got, [[0.6, 0.2, 0.9, 0.9]], atol=1e-6)


def test_patches_lie_inside_and_keep_their_limits():
    sampler = Sampler(min_scale=0.3, max_scale=1, min_aspect_ratio=0.5, max_aspect_ratio=2)
    rng = np.random.default_rng(0)
    patches = np.stack([draw_patch(sampler, rng) for _ in range(2000)]).astype(np.float64)
    sides = patches[:, 2:] - patches[:, :2]
    assert patches.min() >= 0
    assert patches.max() <= 1 + 1e-6
    scales, ratios = np.sqrt(sides.prod(axis=1)), sides[:, 0] / sides[:, 1]
    assert scales.min() + 1e-6 >= 0.3
    assert scales.min() < 0.32
    assert scales.max() > 0.98
    assert ratios.min() > 0.5 - 1e-5
    assert ratios.max() < 2 + 1e-5
    # a large patch has no room to be narrow
    assert (ratios[scales > 0.95] > 0.9).all()


def constraint_rule(patch, boxes, constraint):
    """The fork's loop: what was found once is never forgotten."""
    found, kinds = False, []
    for name, overlap in (
        (
            "jaccard_overlap",
            lambda b: common(patch, b) / (size(patch) + size(b) - common(patch, b)),
        ),
        ("sample_coverage", lambda b: common(patch, b) / size(patch)),
        ("object_coverage", lambda b: common(patch, b) / size(b)),
    ):
        low = getattr(constraint, f"min_{name}") if constraint.HasField(f"min_{name}") else None
        high = getattr(constraint, f"max_{name}") if constraint.HasField(f"max_{name}") else None
        if low is not None or high is not None:
            kinds.append((overlap, -1 if low is None else low, 9 if high is None else high))
    if not kinds:
        return True
    for box in boxes:
        for overlap, low, high in kinds:
            if not low <= overlap(box) <= high:
                break
            found = True
        else:
            return True
    return found


@pytest.mark.parametrize(
    "constraint",
    [
        SampleConstraint(),
        SampleConstraint(min_jaccard_overlap=0.3),
        SampleConstraint(max_jaccard_overlap=0.05),
        SampleConstraint(min_sample_coverage=0.2, max_sample_coverage=0.6),
        SampleConstraint(min_object_coverage=0.9),
        SampleConstraint(min_jaccard_overlap=0.2, min_object_coverage=0.99),
        SampleConstraint(min_sample_coverage=0.2, max_object_coverage=0.1),
    ],
)
def test_constraints(constraint):
    answers = set()
    for i, patch in enumerate(some_boxes(200, 5)):
        boxes = some_boxes(3, i)
        got = satisfies(patch, boxes, constraint)
        assert got == constraint_rule(patch, boxes, constraint)
        answers.add(got)
    assert len(answers) == (2 if constraint.ListFields() else 1)


def boxes_at(corners):
    zeros = np.zeros(len(corners), np.int32)
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), zeros, zeros, zeros > 0)


def test_without_a_fitting_patch_there_is_none():
    sampler = BatchSampler(max_sample=1, max_trials=20)
    sampler.sample_constraint.min_jaccard_overlap = 0.9
    rng = np.random.default_rng(0)
    assert sampled_patch(boxes_at([[0, 0, 0.1, 0.1]]), [sampler], rng) is None
    assert sampled_patch(boxes_at([]), [sampler], rng) is None
    assert sampled_patch(boxes_at([]), [BatchSampler(use_original_image=False)], rng) is None


def test_one_of_all_samplers_patches_is_drawn():
    whole = BatchSampler(max_sample=1, max_trials=1)
    half = BatchSampler(max_sample=1, sampler=Sampler(min_scale=0.5, max_scale=0.5))
    rng = np.random.default_rng(0)
    boxes = boxes_at([[0, 0, 1, 1]])
    areas = [float(area(sampled_patch(boxes, [whole, half], rng))) for _ in range(400)]
    assert 150 < sum(value > 0.9 for value in areas) < 250
    assert all(value == pytest.approx(0.25, abs=1e-4) for value in areas if value < 0.9)
    # without max_sample every trial counts
    many = BatchSampler(max_trials=3, sampler=Sampler(min_scale=0.5, max_scale=0.5))
    areas = [float(area(sampled_patch(boxes, [whole, many], rng))) for _ in range(400)]
    assert 60 < sum(value > 0.9 for value in areas) < 140
