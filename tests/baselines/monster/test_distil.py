"""Distillation: the step that a student learns, against the solver's own; a whole one of a tiny teacher; what draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tiny_trainings import write_data
from transformers import CLIPTextConfig, CLIPTextModel

import baselines
from baselines.monster import adapter
from baselines.monster.distil import StepLoss, check, main, nodes, states, velocity_between
from baselines.monster.sampling import alphas_cumprod, solver, timesteps
from baselines.monster.tokenizer import fitted
from baselines.monster.unets import build
from submission import Competition, MissingPart
from submission.errors import UsageError

WIDTH = 16
PROMPTS = ["Red slime.", "Blue bat."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A monster of random small networks."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    tokenizer = fitted(["Red slime.", "Blue bat.", "Green slime with horns."], 12)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=12, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4, sample_size=16, mid_block_add_attention=False,
    )  # fmt: skip
    tokenizer.save_pretrained(folder / "tokenizer")
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    vae.save_pretrained(folder / "vae")
    unet().save_pretrained(folder / "unet")
    (folder / "sampling.json").write_text(json.dumps({"steps": 6, "guidance_scale": 20.0, "batch_size": 2}))
    return folder


def unet(seed: int = 0, **other: object) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    config = {**build("bestiary", 4, 8, WIDTH).config, "block_out_channels": (16, 16), **other}
    return UNet2DConditionModel.from_config(config).eval()


def conditions(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(count, 5, WIDTH), torch.randn(count, WIDTH)


def call(network: UNet2DConditionModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    hidden, pooled = torch.randn(2, 5, WIDTH, generator=generator), torch.randn(2, WIDTH, generator=generator)
    with torch.no_grad():
        return network(x, 500, hidden, class_labels=pooled).sample


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_a_velocity_between_two_states_is_that_of_the_solvers_step(steps):
    scheduler = solver(order=1)
    scheduler.set_timesteps(steps)
    levels = torch.cat([alphas_cumprod()[timesteps(steps)], torch.ones(1)])
    x, v = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for k, t in enumerate(timesteps(steps)):
        y = scheduler.step(v, t, x).prev_sample
        assert torch.allclose(velocity_between(x, y, levels[k : k + 1], levels[k + 1 : k + 2]), v, atol=2e-5)
        x = y


def test_the_students_of_one_teacher_share_its_states():
    assert nodes(24, [8]) == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert nodes(24, [4, 2]) == [0, 6, 12, 18, 24]
    for steps in (12, 8, 6, 4, 3, 2, 1):
        check([steps], 24)


@pytest.mark.parametrize(("steps", "teacher"), [(5, 24), (0, 24), (48, 24), (-4, 24)])
def test_steps_that_are_not_whole_ones_of_the_teacher_are_wrong_usage(steps, teacher):
    with pytest.raises(UsageError, match=f"--steps {steps}"):
        check([steps], teacher)


def test_a_teachers_states_are_those_of_its_solver():
    noise, text, empty = torch.randn(2, 4, 8, 8), conditions(2), conditions(1)
    network = unet()
    with torch.no_grad():
        visited = states(network, noise, text, empty, steps=3, guidance_scale=2.0)
        assert torch.equal(visited[0], noise)
        scheduler, x = solver(), noise
        scheduler.set_timesteps(3)
        for t, after in zip(scheduler.timesteps, visited[1:], strict=True):
            c, u = (network(x, t, h.expand(2, -1, -1), class_labels=p.expand(2, -1)).sample for h, p in (text, empty))
            x = scheduler.step(u + 2.0 * (c - u), t, x).prev_sample
            assert torch.allclose(after, x, atol=1e-5)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_of_one_step_without_guidance():
    noise, text, empty = torch.randn(4, 4, 8, 8), conditions(4), conditions(1)
    student = unet()
    adapter.attach(student, 2)

    def loss(scale: float) -> torch.Tensor:
        with torch.no_grad():
            visited = states(unet(), noise, text, empty, steps=1, guidance_scale=scale)
        step = StepLoss(torch.stack(visited, 1), *text, timesteps(1), Accelerator(cpu=True))
        return step(student, torch.arange(4), torch.Generator().manual_seed(0), 0.0)[0]

    assert loss(1.0).item() < 1e-10
    guided = loss(3.0)
    assert guided.item() > 1e-4
    guided.backward()
    trained = {name: p.grad.norm().item() for name, p in student.named_parameters() if p.requires_grad}
    # At first `down` has no gradient, because `up` is zero; of the single head's keys the bias changes nothing.
    moved = [name for name, norm in trained.items() if norm > 0]
    assert {name for name in trained if name.endswith(".up")} <= {*moved}
    assert not [name for name in moved if name.endswith(".original")]


def test_an_attached_change_is_none_until_it_is_trained():
    network = unet()
    before = call(network)
    adapter.attach(network, 3)
    assert torch.equal(call(network), before)
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trained < sum(p.numel() for p in unet().parameters()) / 2


def changed(rank: int) -> UNet2DConditionModel:
    """A student whose every number is other than its teacher's."""
    network = unet()
    adapter.attach(network, rank)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("rank", [2, 1000], ids=["factors", "whole"])
def test_a_stored_change_makes_the_student_of_the_teacher(tmp_path, rank):
    student, teacher = changed(rank), unet()
    save_file(adapter.change(student.state_dict()), tmp_path / "change.safetensors")
    before = (call(teacher) - call(student)).norm()
    adapter.apply(teacher, tmp_path / "change.safetensors")
    assert (call(teacher) - call(student)).norm() < 0.02 * before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensors: tensors.pop("conv_in.weight.up"),
        lambda tensors: tensors.pop("conv_in.bias"),
        lambda tensors: tensors.update({"conv_in.bias": torch.zeros(3)}),
        lambda tensors: tensors.update({"conv_in.weight.down": torch.zeros(2, 3)}),
        lambda tensors: tensors.update({"conv_in.weight.scale": torch.zeros(3)}),
        lambda tensors: tensors.update({"conv_in.weight": torch.zeros(16, 4, 3, 3)}),
        lambda tensors: tensors.update({"elsewhere": torch.zeros(3)}),
    ],
)
def test_the_change_of_another_network_is_refused(tmp_path, spoil):
    tensors = adapter.change(changed(2).state_dict())
    spoil(tensors)
    save_file(tensors, tmp_path / "change.safetensors")
    with pytest.raises(UsageError, match="changes another network"):
        adapter.apply(unet(), tmp_path / "change.safetensors")


def test_a_distillation_from_end_to_end(tmp_path, folder):
    data, out = write_data(tmp_path / "data"), tmp_path / "run"
    command = [
        "--data", data, "--teacher", folder, "--out", out, "--device", "cpu", "--steps", "2", "1",
        "--teacher-steps", "2", "--trajectories", "12", "--rank", "4",
        "--images", "120", "--batch-size", "6", "--learning-rate", "2e-2",
    ]  # fmt: skip
    assert main([str(word) for word in command]) == 0
    drawn = load_file(next(out.glob("trajectories-*.safetensors")))
    for steps in (2, 1):
        run = out / f"{steps}-steps"
        assert len(list((run / "previews").glob("*.png"))) == 4
        own = StepLoss(
            drawn["latents"][:, :: 2 // steps], drawn["hidden"], drawn["pooled"], timesteps(steps),
            Accelerator(cpu=True),
        )  # fmt: skip
        networks = [UNet2DConditionModel.from_pretrained(folder / "unet") for _ in range(2)]
        adapter.apply(networks[1], run / "model" / "distilled.safetensors")
        with torch.no_grad():
            before, after = (
                own(network, torch.arange(12), torch.Generator().manual_seed(0), 0.0)[0].item() for network in networks
            )
        assert after < 0.9 * before
        student = monster(run / "model")
        assert (student.settings["steps"], student.settings["guidance_scale"]) == (steps, 20.0)
    # The second one began as the first one ended.
    assert json.loads((out / "1-steps" / "options.json").read_text())["init"]

    class Counting:
        """The UNet, and how many images it was called with."""

        def __init__(self, network: UNet2DConditionModel) -> None:
            self.network, self.config, self.images = network, network.config, 0

        def __call__(self, x: torch.Tensor, *args: object, **kwargs: object) -> object:
            self.images += len(x)
            return self.network(x, *args, **kwargs)

    student._unet = Counting(student._unet)
    drawn = student.generate(PROMPTS, [1, 2])
    assert student._unet.images == 2  # one pass an image

    # The teacher draws from the same folder as it does from its own, and says the same of itself.
    asked = [monster(place, steps=6) for place in (out / "1-steps" / "model", folder)]
    assert asked[0].settings == asked[1].settings
    assert asked[0].weights == asked[1].weights
    images = [teacher.generate(PROMPTS, [1, 2]) for teacher in asked]
    assert np.array_equal(*images)
    assert not np.array_equal(images[0], drawn)
    assert set(student.weights) == {*asked[0].weights, "distilled.safetensors"}
    by_scale = monster(out / "1-steps" / "model", guidance_scale=1.0)
    assert (by_scale.settings["steps"], by_scale.settings["guidance_scale"]) == (6, 1.0)
    plain = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(plain[name], tensor) for name, tensor in by_scale._unet.state_dict().items())

    (out / "1-steps" / "model" / "distilled.safetensors").unlink()
    with pytest.raises(MissingPart, match=r"no distilled\.safetensors"):
        monster(out / "1-steps" / "model")


def monster(folder: Path, **options: object) -> baselines.Generator:
    return baselines.load("monster", Competition.load("bestiary"), "cpu", weights=str(folder), **options)
