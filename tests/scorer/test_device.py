"""Devices by name, and float32 arithmetic that PyTorch's faster modes do not touch."""

from __future__ import annotations

import pytest
import torch

from scorer.device import exact_float32, pick_device
from submission.errors import UsageError


def test_names() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["", "gpu", "mps", "cuda:99", "tpu:x"])
def test_absent_devices_are_usage_errors(name: str) -> None:
    with pytest.raises(UsageError, match="device"):
        pick_device(name)


def test_each_process_of_a_launcher_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert pick_device("auto") == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda:3")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    assert pick_device("cpu") == torch.device("cpu")


def test_exact_float32_switches_tf32_off_and_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with exact_float32():
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_exact_resizes_give_the_same_bytes_on_cuda() -> None:
    from scorer.networks.resize import clean_fid_resize, open_clip_resize

    images = torch.randint(0, 256, (4, 3, 97, 130), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with exact_float32():
        assert torch.equal(open_clip_resize(images.cuda(), 224).cpu(), open_clip_resize(images, 224))
        torch.testing.assert_close(
            clean_fid_resize(images.cuda(), 299).cpu(), clean_fid_resize(images, 299), rtol=0, atol=1e-3
        )
