"""Packed linear layers give what PyTorch's own give, and stand in only where they can."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rounding import terms_of, tolerance
from torch import nn

from scorer.networks import clip
from scorer.networks.clip import load_clip
from scorer.networks.clip_speed import PackedAttention, PackedLinear, can_pack, pack

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not can_pack(CPU), reason="this PyTorch lacks oneDNN's linear product")


@pytest.fixture(autouse=True)
def no_gradients() -> object:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(24,), (1, 24), (7, 24), (3, 5, 24), (0, 24)])
def test_linear(bias: bool, shape: tuple[int, ...]) -> None:
    linear = nn.Linear(24, 40, bias=bias)
    x = torch.randn(shape)
    packed = PackedLinear(linear.weight, linear.bias)
    torch.testing.assert_close(packed(x), linear(x), rtol=0, atol=1e-6)
    assert packed.weight.dtype == torch.float32


@pytest.mark.parametrize("queries", [1, 9])
@pytest.mark.parametrize("bias", [True, False])
def test_attention(queries: int, bias: bool) -> None:
    attention = nn.MultiheadAttention(32, 4, bias=bias, batch_first=True).eval()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.2)
    x = torch.randn(3, 9, 32)
    mask = torch.full((9, 9), -torch.inf).triu(1)[:queries]
    for given in (None, mask):
        expected = attention(x[:, :queries], x, x, need_weights=False, attn_mask=given)[0]
        result, weights = PackedAttention(attention)(x[:, :queries], x, x, need_weights=False, attn_mask=given)
        # Softmax multiplies the rounding of its logits by their size, which is below 8 here.
        atol = 8 * tolerance(terms_of(attention) + 9, expected.abs().max().item())
        torch.testing.assert_close(result, expected, rtol=0, atol=atol)
        assert weights is None


def test_attention_refuses_what_it_does_not_compute() -> None:
    packed, x = PackedAttention(nn.MultiheadAttention(32, 4, batch_first=True)), torch.randn(1, 3, 32)
    with pytest.raises(ValueError, match="no weights"):
        packed(x, x, x, need_weights=True)
    with pytest.raises(ValueError, match="values are its keys"):
        packed(x, x, x + 1)


def test_only_what_it_can_stand_for_is_replaced() -> None:
    class Special(nn.Linear):
        pass

    module = nn.ModuleDict(
        {
            "plain": nn.Sequential(nn.Linear(4, 4), nn.GELU()),
            "special": Special(4, 4),
            "attention": nn.MultiheadAttention(4, 1, batch_first=True),
            "sequence_first": nn.MultiheadAttention(4, 1),
            "other_keys": nn.MultiheadAttention(4, 1, kdim=3, batch_first=True),
            "zero_attention": nn.MultiheadAttention(4, 1, add_zero_attn=True, batch_first=True),
        }
    )
    pack(module)
    assert [type(child) for child in module.values()] == [
        nn.Sequential, Special, PackedAttention, nn.MultiheadAttention, nn.MultiheadAttention, nn.MultiheadAttention,
    ]  # fmt: skip
    assert isinstance(module["plain"][0], PackedLinear)


def test_clip_without_the_operators_is_the_same(tiny_clip_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    name = "drawoff-test-quickgelu"
    packed = load_clip(name, str(tiny_clip_weights), CPU)
    assert any(isinstance(module, PackedAttention) for module in packed.model.modules())
    monkeypatch.setattr(clip, "can_pack", lambda device: False)
    plain = load_clip(name, str(tiny_clip_weights), CPU)
    assert not any(isinstance(module, PackedAttention | PackedLinear) for module in plain.model.modules())
    torch.testing.assert_close(packed.image_features(images), plain.image_features(images), rtol=0, atol=1e-6)
    texts = ["a cat", "red monster " * 3]
    torch.testing.assert_close(packed.text_features(texts), plain.text_features(texts), rtol=0, atol=1e-6)
