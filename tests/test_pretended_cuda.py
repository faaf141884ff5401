"""The pretended GPU finds one planted fault of each kind that it is for, and lets pass what a GPU does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from pretended_cuda import Cuda, pretended_cuda
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

GPU, OTHER, NOT_THERE = "cuda", "cuda:1", "cuda:2"


@pytest.fixture
def cuda() -> Iterator[Cuda]:
    """Two pretended GPUs."""
    with pretended_cuda(count=2) as machine:
        yield machine


def host() -> Tensor:
    return torch.arange(6.0).view(2, 3)


def there() -> Tensor:
    return host().to(GPU)


def two_devices() -> None:
    there() + host()


def two_devices_in_one_list() -> None:
    torch.cat([there(), host()])


def a_number_where_no_number_goes() -> None:
    torch.stack([there().sum(), host().sum()])


def two_gpus() -> None:
    there() * host().to(OTHER)


def a_comparison() -> None:
    torch.equal(there(), host())


def one_where() -> None:
    torch.where(host() > 0, there(), 0.0)


def a_layer_left_behind() -> None:
    nn.Linear(3, 2)(there())


def an_input_left_behind() -> None:
    nn.Sequential(nn.Linear(3, 2), nn.ReLU()).to(GPU)(host())


def a_buffer_that_is_no_buffer() -> None:
    """A plain attribute does not move with its module."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.ones(3)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    Scaled().to(GPU)(there())


def indices_of_an_embedding() -> None:
    functional.embedding(torch.tensor([0, 1]), there())


def attention_with_a_mask_left_behind() -> None:
    q = there()[None, None]
    functional.scaled_dot_product_attention(q, q, q, attn_mask=torch.zeros(2, 2))


def targets_of_a_loss() -> None:
    functional.cross_entropy(there(), torch.tensor([0, 2]))


def added_in_place() -> None:
    total = host()
    total += there()


def a_number_added_in_place() -> None:
    total = torch.zeros(())
    total += there().sum()


def an_output_elsewhere() -> None:
    torch.add(there(), 1.0, out=host())


def written_at_an_index() -> None:
    there()[torch.tensor([0])] = torch.ones(1, 3)


def indices_from_the_gpu() -> None:
    host()[there()[0].long() % 2]


def a_mask_from_the_gpu() -> None:
    host()[there() > 1]


def selected_by_indices_left_behind() -> None:
    there().index_select(0, torch.tensor([0]))


def gathered_by_indices_left_behind() -> None:
    there().gather(1, torch.zeros(2, 1, dtype=torch.int64))


def a_generator_of_the_cpu() -> None:
    torch.randn(3, generator=torch.Generator().manual_seed(0), device=GPU)


def a_draw_from_probabilities() -> None:
    torch.multinomial(there() + 1, 1, generator=torch.Generator().manual_seed(0))


def a_generator_of_the_gpu() -> None:
    torch.rand(3, generator=torch.Generator(GPU))


def numbers_drawn_in_place() -> None:
    there().normal_(generator=torch.Generator())


def numpy_of_a_cuda_tensor() -> None:
    there().numpy()


def an_array_of_a_cuda_tensor() -> None:
    np.asarray(there())


def numpys_functions() -> None:
    np.stack([there(), there()])


def pinned_on_the_gpu() -> None:
    there().pin_memory()


def a_gradient_elsewhere() -> None:
    there().requires_grad_().grad = torch.ones(2, 3)


def products_of_integers() -> None:
    there().long() @ there().long().T


def a_gpu_that_is_not_there() -> None:
    torch.zeros(2, device=NOT_THERE)


def read_before_it_has_arrived() -> None:
    there().to("cpu", non_blocking=True)


def copied_and_read_before_it_has_arrived() -> None:
    host().copy_(there(), non_blocking=True)


def a_script_left_behind() -> None:
    # Scripting reads source; tracing records, and this is what is called then.
    torch.jit.trace(nn.Linear(3, 2), host(), check_trace=False)(there())


def sums_of_two_optimizers() -> None:
    torch._foreach_add_([there(), there()], [there(), host()])


def a_number_of_two_gpus() -> None:
    there() + host().to(OTHER).sum()


PLANTED = [
    two_devices, two_devices_in_one_list, a_number_where_no_number_goes, two_gpus, a_number_of_two_gpus, a_comparison,
    one_where, a_layer_left_behind, an_input_left_behind, a_buffer_that_is_no_buffer, indices_of_an_embedding,
    attention_with_a_mask_left_behind, targets_of_a_loss, added_in_place, a_number_added_in_place, an_output_elsewhere,
    written_at_an_index, indices_from_the_gpu, a_mask_from_the_gpu, selected_by_indices_left_behind,
    gathered_by_indices_left_behind, a_generator_of_the_cpu, a_draw_from_probabilities, a_generator_of_the_gpu,
    numbers_drawn_in_place, numpy_of_a_cuda_tensor, an_array_of_a_cuda_tensor, numpys_functions, pinned_on_the_gpu,
    a_gradient_elsewhere, products_of_integers, a_gpu_that_is_not_there, read_before_it_has_arrived,
    copied_and_read_before_it_has_arrived, a_script_left_behind, sums_of_two_optimizers,
]  # fmt: skip
WORDS = "same device|devices|indices should be|generator|numpy|pin|different device|not implemented|ordinal|arrived"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("fault", PLANTED, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(cuda: Cuda, fault: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((RuntimeError, TypeError), match=WORDS):
        fault()
    for name in ("GPU", "OTHER", "NOT_THERE"):
        monkeypatch.setitem(globals(), name, "cpu")
    fault()  # everything on the CPU: nothing else is wrong with it


def test_memory_is_not_shared_with_numpy(cuda: Cuda) -> None:
    array = np.zeros(3, np.float32)
    moved, made = torch.from_numpy(array).to("cuda"), torch.as_tensor(array, device="cuda")
    array[:] = 1
    assert moved.cpu().tolist() == made.tolist() == [0, 0, 0]


def test_a_foreign_gpu_is_touched(cuda: Cuda) -> None:
    """What pins or allocates before the process has chosen its GPU takes memory of the first one."""
    torch.ones(3).pin_memory()
    assert cuda.memory.touched == {0}
    with torch.cuda.device(1):
        torch.ones(3).pin_memory()
    assert cuda.memory.touched == {0, 1}
    torch.cuda.set_device(1)
    assert torch.zeros(1, device="cuda").device == torch.device("cuda:1")


def test_a_product_of_bfloat16_under_autocast(cuda: Cuda) -> None:
    layer = nn.Linear(3, 2).to("cuda")
    with torch.autocast("cuda", torch.bfloat16):
        assert layer(there()).dtype == torch.bfloat16
        assert torch.is_autocast_enabled("cuda")
    assert layer(there()).dtype == torch.float32


# What a GPU lets pass


def test_numbers_and_indices_of_the_cpu_are_welcome(cuda: Cuda) -> None:
    x = there()
    results = [
        x + torch.tensor(2.0),
        torch.where(x > torch.tensor(1.0), x, torch.tensor(0.0)),
        x[torch.tensor([1, 0])],
        x[:, torch.tensor([True, False, True])],
        torch.arange(3, device="cuda"),
        torch.randn(2, generator=torch.Generator("cuda"), device="cuda"),
        torch.zeros_like(x),
        x.new_full((2,), 3.0),
        torch.tensor([1.0]).cuda(),
        torch.rand(2, 2).to(x),
    ]
    assert {result.device for result in results} == {torch.device("cuda:0")}
    x[torch.tensor([0])] = 5.0
    x[1:] = torch.zeros(1, 3)
    x[0].copy_(torch.ones(3))
    assert x.tolist() == [[1, 1, 1], [0, 0, 0]]
    assert host()[there().long()[0, 1]].tolist() == [3, 4, 5]  # a single index is read as a number
    assert torch.zeros_like(x, device="cpu").device == torch.zeros(1).device == torch.device("cpu")


def test_a_moved_module_keeps_its_parameters(cuda: Cuda) -> None:
    """An optimizer that was made before goes on with them, as on a GPU."""
    layer, inputs = nn.Linear(3, 2), host()
    twin = copy.deepcopy(layer)
    optimizers = [torch.optim.AdamW(one.parameters(), lr=0.1) for one in (layer, twin)]
    weight = layer.weight
    layer.to("cuda")
    assert layer.weight is weight
    assert weight.is_cuda
    for one, x, optimizer in zip((layer, twin), (inputs.cuda(), inputs), optimizers, strict=True):
        one(x).square().mean().backward()
        assert one.weight.grad.device == one.weight.device
        nn.utils.clip_grad_norm_(one.parameters(), 0.1)
        optimizer.step()
        assert optimizer.state[one.weight]["exp_avg"].device == one.weight.device
    assert torch.equal(layer.weight.cpu(), twin.weight)
    assert copy.deepcopy(layer).weight.is_cuda
    twin.load_state_dict(layer.state_dict())
    assert not twin.weight.is_cuda
    assert load(save(layer.state_dict()))["weight"].equal(twin.weight)


def test_nothing_is_left_of_it() -> None:
    before = torch.cuda.is_available(), torch.Generator, torch.cuda.device_count
    with pretended_cuda() as machine:
        x = there()
        assert torch.cuda.is_available()
        assert torch.cuda.get_device_capability() == (8, 0)
        assert machine.memory.knows(x)
    assert (torch.cuda.is_available(), torch.Generator, torch.cuda.device_count) == before
    assert torch.equal(x, host())
