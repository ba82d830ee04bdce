"""The layers of connectionist temporal classification against rules written in plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from tests.nets import net_text


def faults(load_text, text: str) -> str:
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    return "\n".join(str(d) for d in caught.value.diagnostics)


def collapsed(path, blank: int, merge: bool = True) -> list[int]:
    found, before = [], -1
    for c in path:
        if c != blank and not (merge and c == before):
            found.append(int(c))
        before = c
    return found


def distance(a, b) -> int:
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i, j in np.ndindex(len(a), len(b)):
        kept = table[i, j] + (a[i] != b[j])
        table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, kept)
    return table[-1, -1]


def ctc_text(settings: str = "blank_label: 2 alphabet_size: 3 time_step: 4") -> str:
    layer = f'type: "CtcLoss" top: "y" ctc_loss_param {{ {settings} }}'
    return net_text(layer, True, x=(5, 3, 3), label=(3, 2))


def test_ctc_loss_is_the_mean_over_all_paths_and_its_gradient_that_of_the_sum(load_text):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3, 3)).astype(np.float32)
    labels = np.float32([[0, 1], [2, 0], [1, 1]])  # class 2 is the blank, the last timestep unused

    def total(values) -> float:
        e = np.exp(values)
        p, found = e / e.sum(2, keepdims=True), 0.0
        for n in range(3):
            wanted = [c for c in labels[n].astype(int) if c != 2]
            paths = itertools.product(range(3), repeat=4)
            found -= np.log(
                sum(
                    np.prod([p[t, n, c] for t, c in enumerate(path)])
                    for path in paths
                    if collapsed(path, 2) == wanted
                )
            )
        return found

    values = x.astype(np.float64)
    slopes, step = np.zeros_like(values), 1e-5
    for place in np.ndindex(values.shape):
        shift = np.zeros_like(values)
        shift[place] = step
        slopes[place] = (total(values + shift) - total(values - shift)) / (2 * step)
    module, given = netspec.compile(load_text(ctc_text())), torch.from_numpy(x).requires_grad_()
    outputs = module(x=given, label=torch.from_numpy(labels))
    assert outputs["y"].item() == pytest.approx(total(values) / 3, rel=1e-4)
    (2 * module.loss(outputs)).backward()
    np.testing.assert_allclose(given.grad.numpy(), 2 * slopes, rtol=1e-3, atol=1e-5)


def test_a_stream_too_short_for_its_labels_has_no_loss(load_text):
    text = ctc_text("blank_label: 2 alphabet_size: 3 time_step: 1")
    module = netspec.compile(load_text(text))
    x = torch.rand(5, 3, 3, requires_grad=True)
    outputs = module(x=x, label=torch.tensor([[0.0, 1], [2, 0], [1, 0]]))
    wanted = -x[0, 1].log_softmax(0)[0] / 3
    assert outputs["y"].item() == pytest.approx(wanted.item())
    module.loss(outputs).backward()
    assert x.grad.nonzero()[:, 0].unique().tolist() == [0]
    assert x.grad.nonzero()[:, 1].unique().tolist() == [1]


def test_labels_that_the_fork_stops_at(load_text):
    module = netspec.compile(load_text(ctc_text()))
    with pytest.raises(NetspecError, match=r"item 1 of the batch has label 3, .* 3 classes"):
        module(x=torch.rand(5, 3, 3), label=torch.tensor([[0.0, 1], [3, 0], [1, 0]]))
    with pytest.raises(NetspecError, match="the batch has no label beside the blank 2"):
        module(x=torch.rand(5, 3, 3), label=torch.full((3, 2), 2.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("alphabet_size: 4 time_step: 4", "'alphabet_size' must be the 3 classes of 'x', got 4"),
        ("alphabet_size: 3 time_step: 6", "'time_step' must be 1 to the 5 timesteps of 'x', got 6"),
        ("alphabet_size: 3", "'time_step' must be 1 to the 5 timesteps of 'x', got 0"),
        ("alphabet_size: 3 time_step: 5 blank_label: 3", "must be one of 3 classes, got 3"),
        ("alphabet_size: 3 time_step: 5 blank_index: 1", "'blank_index' is a field of CTCLoss"),
    ],
)
def test_a_ctc_loss_that_does_not_fit(load_text, settings, message):
    assert message in faults(load_text, ctc_text(settings))


def decoder(tops: str, settings: str = "blank_index: 0") -> str:
    return f'type: "CTCGreedyDecoder" {tops} ctc_decoder_param {{ {settings} }}'


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("blank", [1, -1])
def test_greedy_decoder_with_flags(load_text, merge, blank):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 4, (9, 5, 3)).astype(np.float32)  # with ties: the first class counts
    flags = (rng.random((9, 5)) < 0.8).astype(np.float32)
    flags[:, 1], flags[1, 2] = 1, 0
    labels = rng.integers(0, 3, (9, 5)).astype(np.float32)
    labels[[4, 0, 8, 2, 6], range(5)] = -1
    settings = f"blank_index: {blank} ctc_merge_repeated: {str(merge).lower()}"
    text = net_text(
        decoder('top: "s" top: "p" top: "a"', settings), x=(9, 5, 3), c=(9, 5), t=(9, 5)
    )
    net = load_text(text)
    assert [net.blobs[name].shape for name in "spa"] == [(5, 9, 1, 1), (5, 1, 1, 1), (1, 1, 1, 1)]
    got = netspec.compile(net)(*map(torch.from_numpy, (x, flags, labels)))
    sequences, scores, errors = np.full((5, 9), -1.0), np.zeros(5), 0.0
    for n in range(5):
        length = next((t for t in range(1, 9) if flags[t, n] == 0), 9)
        best = x[:length, n].argmax(1)
        found = collapsed(best, blank % 3, merge)
        sequences[n, : len(found)] = found
        scores[n] = -x[:length, n].max(1).sum()
        wanted = list(itertools.takewhile(lambda label: label >= 0, labels[:, n]))
        errors += distance(wanted, found) / max(len(wanted), len(found), 1)
    np.testing.assert_array_equal(got["s"].numpy()[:, :, 0, 0], sequences)
    np.testing.assert_allclose(got["p"].numpy().ravel(), scores)
    assert got["a"].item() == pytest.approx(1 - errors / 5)


@pytest.mark.parametrize(
    ("bottoms", "tops", "names"),
    [(2, 2, ("s", "p")), (3, 1, ("s",)), (3, 2, ("s", "a")), (3, 3, ("s", "p", "a"))],
)
def test_which_tops_a_greedy_decoder_has(load_text, bottoms, tops, names):
    shapes = dict(itertools.islice({"x": (4, 2, 3), "c": (4, 2), "t": (4, 2)}.items(), bottoms))
    given = " ".join(f'top: "{name}"' for name in names)
    module = netspec.compile(load_text(net_text(decoder(given), **shapes)))
    got = module(*(torch.ones(shape) for shape in shapes.values()))
    sizes = {"s": (2, 4, 1, 1), "p": (2, 1, 1, 1), "a": (1, 1, 1, 1)}
    assert {name: tuple(value.shape) for name, value in got.items()} == {n: sizes[n] for n in names}
    assert tops == len(names)


def test_accuracy_without_labels(load_text):
    text = net_text(decoder('top: "s" top: "p" top: "a"'), x=(4, 2, 3), c=(4, 2))
    assert "a third top, the accuracy, needs a third bottom" in faults(load_text, text)


def test_two_bottoms_and_a_top_may_mean_either_rule(load_text):
    text = net_text(decoder('top: "y"'), x=(4, 2, 3), c=(4, 2))
    message = faults(load_text, text)
    assert "layer type 'CTCGreedyDecoder' has several rules" in message
    assert "--dialect ssd or ocr" in message
    assert load_text(text, dialect="ssd").blobs["y"].shape == (2, 4, 1, 1)
    ocr = net_text(decoder('top: "y"'), x=(4, 2, 3), label=(2, 7))
    assert load_text(ocr, dialect="ocr").blobs["y"].shape == (1, 2, 1, 1)


def test_scores_without_classes(load_text):
    message = faults(load_text, net_text(decoder('top: "y"'), x=(4, 2)))
    assert "'x' must be T×N×C, got 4×2" in message


def test_greedy_decoder_of_caffe_ocr(load_text):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(6, 8, 3)).astype(np.float32)
    labels = rng.integers(-1, 3, (8, 7)).astype(np.float32)
    x[:, 5], labels[5] = np.float32([1, 0, 0]), -1  # two empty sequences are not counted as right
    found = [collapsed(x[:, n].argmax(1), 0) for n in range(8)]
    labels[3] = [*found[3], *[0] * (7 - len(found[3]))]
    errors, right = 0.0, 0
    for n in range(8):
        wanted = [c for c in itertools.takewhile(lambda label: label >= 0, labels[n]) if c != 0]
        edits, longer = distance(wanted, found[n]), max(len(wanted), len(found[n]))
        errors += edits / max(longer, 1)
        right += edits == 0 and longer > 0
    text = net_text(decoder('top: "y"'), x=(6, 8, 3), label=(8, 7))
    module = netspec.compile(load_text(text, dialect="ocr"))
    got = module(torch.from_numpy(x), torch.from_numpy(labels))["y"]
    assert got.flatten().tolist() == pytest.approx([1 - errors / 8, right / 8])
    assert right > 0
    alone = netspec.compile(load_text(net_text(decoder('top: "y"'), x=(6, 8, 3))))
    rows = alone(torch.from_numpy(x))["y"].view(8, 6).tolist()
    assert rows == [[*row, *[-1] * (6 - len(row))] for row in found]


@pytest.mark.parametrize(("steps", "length"), [(5, 7), (9, 4)])
def test_labelsequence_accuracy(load_text, steps, length):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(12, steps, 4)).astype(np.float32)
    labels = rng.integers(0, 4, (12, length)).astype(np.float32)
    found = [collapsed(row.argmax(1), 3) for row in x]
    for n in range(0, 12, 2):
        kept = found[n][:length]
        labels[n] = [*kept, *[3] * (length - len(kept))]
    wanted = [[int(label) for label in row if label != 3] for row in labels]
    text = net_text(
        'type: "LabelsequenceAccuracy" top: "y" labelsequence_accuracy_param { blank_label: 3 }',
        x=x.shape,
        label=labels.shape,
    )
    net = load_text(text)
    assert net.blobs["y"].shape == ()
    got = netspec.compile(net)(torch.from_numpy(x), torch.from_numpy(labels))["y"]
    share = np.mean([a == b for a, b in zip(found, wanted, strict=True)])
    assert 0 < share < 1
    assert got.item() == pytest.approx(share)
    bad = text.replace(f"dim: 12 dim: {length} }}", f"dim: 11 dim: {length} }}")
    assert "'label', the labels of each item, must be 12×L, got 11×" in faults(load_text, bad)
