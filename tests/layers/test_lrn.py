"""LRN in parts of a batch: the outputs and gradients of the formula over the whole of it."""

import pytest
import torch

from netspec.layers import normalization
from netspec.pytorch.layers.lrn import LRN


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("size", "beta", "k", "channels"),
    [(5, 0.75, 1, 96), (3, 0.75, 2, 7), (1, 0.75, 1, 4), (9, 1.1, 0.5, 40), (101, 0.75, 1, 6)],
)
def test_parts_of_a_batch_are_torchs_local_response_norm(
    size: int,
    beta: float,
    k: float,
    channels: int,
    memory_format: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = 2 * channels * 7 * 5  # the last part of the batch is a smaller one
    monkeypatch.setattr(normalization, "LRN_PART", part)
    x = torch.randn(5, channels, 7, 5, dtype=torch.float64).contiguous(memory_format=memory_format)
    x.requires_grad_()
    twin = x.detach().clone().requires_grad_()
    top = LRN(size, 0.1, beta, k, within_channel=False)(x)
    expected = torch.nn.functional.local_response_norm(twin, size, 0.1, beta, k)
    grad = torch.randn_like(top)
    top.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(top, expected)
    torch.testing.assert_close(x.grad, twin.grad)
    assert top.is_contiguous(memory_format=memory_format)


def test_a_pass_keeps_the_bottom_alone() -> None:
    kept = []
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()), lambda t: t):
        LRN(5, 1e-4, 0.75, 1.0, within_channel=False)(x)
    assert kept == [x.data_ptr()]


def test_an_empty_batch() -> None:
    assert LRN(5, 1e-4, 0.75, 1.0, within_channel=False)(torch.zeros(0, 4, 3, 3)).shape[0] == 0
