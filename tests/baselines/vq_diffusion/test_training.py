"""The four trainings on a set of five pictures, the noise that they train against, and the codebook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from diffusers import VQDiffusionPipeline
from safetensors.torch import load_file
from small_text import small_text

import baselines
from baselines.vq_diffusion import train, train_decoder, train_ranker, train_transformer, train_vqmodel
from baselines.vq_diffusion.ranker import Ranker
from baselines.vq_diffusion.transformer import EMBEDDINGS, logits, with_time_per_image
from submission import Competition
from submission.errors import UsageError

WHAT_STAYS = ("vqvae", "text_encoder", "ranker")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A folder with a tiny text encoder and its tokenizer."""
    tokenizer, model = small_text(24)
    model.half().save_pretrained(tmp_path / "text" / "text_encoder")
    tokenizer.save_pretrained(tmp_path / "text" / "tokenizer")
    return tmp_path / "text"


def test_a_model_is_trained_resumed_assembled_and_drawn_from(
    training_set: Path, text: Path, one_picture: Callable[..., Path], tmp_path: Path
):
    bestiary = Competition.load("bestiary")
    runs, out = tmp_path / "runs", tmp_path / "model"
    command = ["--data", str(training_set), "--runs", str(runs), "--out", str(out), "--text-encoder", str(text)]
    command += ["--more", str(one_picture())]
    images = ["--vqmodel-images", "64", "--transformer-images", "64", "--decoder-images", "128"]
    images += ["--ranker-images", "64"]
    assert train.main([*command, *images]) == 0
    rows = [json.loads(line) for line in (runs / "vqmodel" / "stats.jsonl").read_text().splitlines()]
    assert {"loss", "psnr", "commitment", "restarted", "perplexity"} <= rows[-1].keys()

    # Transformer and ranker have seen the second training set, the decoder has not.
    seen = [
        {len(load_file(file)["codes"]) for file in runs.glob(f"{of}/encoded-*")} for of in ("transformer", "decoder")
    ]
    assert seen == [{5, 6}, set()]
    (shown,) = (runs / "ranker").glob("decoded-*")
    assert load_file(shown)["images"].shape == (6, 3, 64, 64)

    # The decoder's training has left the codes as they were, for the transformer.
    first, last = (
        load_file(folder / "diffusion_pytorch_model.safetensors")
        for folder in (runs / "vqmodel" / "model", out / "vqvae")
    )
    changed = {name.split(".")[0] for name in first if not torch.equal(first[name], last[name])}
    assert changed == {"decoder", "post_quant_conv"}
    model = baselines.load("vq", bestiary, "cpu", weights=str(out), steps=2)
    pictures = model.generate(["red slime", "blue bat"], [1, 2])
    assert pictures.shape == (2, 64, 64, 3)
    assert model.settings["candidates"] == train.SAMPLING["candidates"]
    assert {"red", "slime"} <= set(json.loads((out / "ranker" / "config.json").read_text())["words"])
    assert model.batch_size == train.SAMPLING["batch_size"]
    # Finished stages are kept: the same command again changes nothing.
    before = {file: file.read_bytes() for file in out.rglob("*.*")}
    assert train.main([*command, *images]) == 0
    assert {file: file.read_bytes() for file in out.rglob("*.*")} == before
    assert np.array_equal(
        baselines.load("vq", bestiary, "cpu", weights=str(out), steps=2).generate(["red slime", "blue bat"], [1, 2]),
        pictures,
    )


def test_the_transformer_of_a_finished_folder_is_trained_on(
    training_set: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Deepened; the VQModel, the text encoder and the ranker of that folder stay."""
    monkeypatch.setattr(train_transformer, "LAYERS", 1)
    few = {
        "vqmodel": train_vqmodel.VQModelOptions(batch_size=4),
        "transformer": train_transformer.TransformerOptions(batch_size=4),
        "decoder": train_decoder.DecoderOptions(batch_size=4),
        "ranker": train_ranker.RankerOptions(batch_size=4),
    }
    monkeypatch.setitem(train.PRESETS, "bestiary", train.VQOptions(**few))
    first, second = tmp_path / "first", tmp_path / "second"
    command = ["--data", str(training_set), "--transformer-images", "16"]
    images = ["--vqmodel-images", "8", "--decoder-images", "8", "--ranker-images", "8"]
    images += ["--text-encoder", str(text)]
    assert train.main([*command, *images, "--runs", str(tmp_path / "runs"), "--out", str(first)]) == 0
    monkeypatch.setattr(train_transformer, "LAYERS", 2)
    own = {**train.SAMPLING, "guidance_scale": 3.5}
    (first / "sampling.json").write_text(json.dumps(own))
    assert train.main([*command, "--init", str(first), "--runs", str(tmp_path / "more"), "--out", str(second)]) == 0
    same = [file.relative_to(first) for file in first.rglob("*.safetensors") if file.parent.name in WHAT_STAYS]
    assert len(same) == len(WHAT_STAYS)
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in same)
    assert json.loads((second / "sampling.json").read_text()) == own
    before, after = (
        load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors") for folder in (first, second)
    )
    assert {name for name in after if name not in before} == {
        name.replace("blocks.0", "blocks.1") for name in before if "blocks.0" in name
    }
    name, other = (f"transformer_blocks.{block}.attn1.to_out.0.weight" for block in (0, 1))
    assert before[name].float().std() > 0.04
    assert 0 < after[other].float().abs().max() < 0.04  # it began at zero
    query, copied = (f"transformer_blocks.{block}.attn1.to_q.weight" for block in (0, 1))
    assert (after[copied].float() - before[query].float()).abs().max() < 0.04  # and this as a copy
    options = json.loads((tmp_path / "more" / "transformer_on" / "options.json").read_text())
    assert {file.split("/")[0] for file in options["init"]} == {"transformer", EMBEDDINGS}


def test_a_transformer_of_another_size_is_not_trained_on(
    training_set: Path, pipeline: VQDiffusionPipeline, tmp_path: Path
):
    pipeline.save_pretrained(tmp_path / "other")
    Ranker(["red"], [4, 4, 4, 4]).write(tmp_path / "other" / "ranker")
    asked = ["--data", str(training_set), "--init", str(tmp_path / "other"), "--runs", str(tmp_path / "runs")]
    with pytest.raises(UsageError, match="is not this training's: other codes"):
        train.main(asked)
    with pytest.raises(UsageError, match="--text-encoder, --ranker-images: with --init"):
        train.main([*asked, "--ranker-images", "8", "--text-encoder", str(tmp_path)])
    with pytest.raises(UsageError, match="is the folder to start from"):
        train.main([*asked, "--out", str(tmp_path / "other")])


def test_a_deepened_transformer_computes_what_it_did():
    torch.manual_seed(0)
    old = with_time_per_image(train_transformer.build(codes=8, size=4, text_width=16))
    blocks = list(old.transformer_blocks)[:4]
    old.transformer_blocks = torch.nn.ModuleList(blocks)
    given = torch.randint(9, (2, 16)), torch.tensor([3, 60]), torch.randn(2, 5, 16)
    with torch.no_grad():
        before = logits(old, *given)
        deep = train_transformer.deepen(old, 6)
        assert torch.equal(logits(deep, *given), before)
    assert [blocks.index(block) if block in blocks else "new" for block in deep.transformer_blocks] == [
        0, 1, "new", 2, 3, "new",
    ]  # fmt: skip
    assert len(train_transformer.deepen(deep, 2).transformer_blocks) == 6  # none is taken away


def test_codes_are_noised_as_the_schedule_says():
    scheduler = train_transformer.noise_schedule(4)
    draws, t = 40_000, 40
    codes = torch.full((1, draws), 2)
    x = train_transformer.q_sample(codes, torch.tensor([t]), scheduler, torch.Generator().manual_seed(0))
    frequencies = x.flatten().bincount(minlength=5) / draws
    kept, any_code, masked = (
        table[t].exp() for table in (scheduler.log_cumprod_at, scheduler.log_cumprod_bt, scheduler.log_cumprod_ct)
    )
    expected = torch.stack([any_code, any_code, kept + any_code, any_code, masked])
    assert torch.allclose(frequencies, expected, atol=0.012)


def test_half_of_what_is_drawn_again_knows_of_the_other_half(monkeypatch: pytest.MonkeyPatch):
    codes, seen = torch.arange(256).expand(3, -1) % 4, []

    def always_one(transformer: object, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        seen.append((x, t))
        return 50 * torch.nn.functional.one_hot(torch.ones_like(x), 4).float()

    monkeypatch.setattr(train_decoder, "logits", always_one)
    denoiser = SimpleNamespace(transformer=SimpleNamespace(config=SimpleNamespace(num_vector_embeds=5)))
    generator = torch.Generator().manual_seed(0)
    drawn = train_decoder.redraw(denoiser, codes, torch.zeros(3, 1, 1), Accelerator(cpu=True), generator)
    (first, t), (second, later) = seen
    assert torch.equal(drawn, torch.where(first == 4, 1, codes))
    fraction = (first == 4).float().mean(1)
    assert (fraction > 0.2).all()
    assert (fraction < 0.96).all()
    assert torch.allclose((second == 4).float().mean(1), fraction / 2, atol=0.08)
    assert torch.equal(later, t // 2)


def test_in_the_end_nine_of_ten_places_are_masked():
    scheduler = train_transformer.noise_schedule(512)
    last = train_transformer.TIMESTEPS - 1
    assert scheduler.log_cumprod_ct[last].exp() == pytest.approx(0.9)
    assert 512 * scheduler.log_cumprod_bt[last].exp() == pytest.approx(0.1, abs=1e-4)


def test_the_nearest_code_is_the_nearest():
    generator = torch.Generator().manual_seed(1)
    codebook, z = torch.randn(32, 8, generator=generator), torch.randn(500, 8, generator=generator)
    assert torch.equal(train_vqmodel.nearest_codes(codebook, z), torch.cdist(z, codebook).argmin(1))


def test_codes_move_to_the_means_of_what_they_stand_for():
    """Running means of fixed clusters converge to them, and no code is left unused (k-means)."""
    torch.manual_seed(0)
    codebook, accelerator = train_vqmodel.Codebook(train_vqmodel.build()), Accelerator(cpu=True)
    generator = torch.Generator().manual_seed(2)
    centres = 5 * torch.randn(train_vqmodel.CODES // 4, train_vqmodel.CODE_WIDTH, generator=generator)
    weight = codebook.vqvae.quantize.embedding.weight
    for step in range(250):  # long enough for an idle code to be given up
        z = centres[torch.randint(len(centres), (1024,), generator=generator)]
        z = z + 0.1 * torch.randn(z.shape, generator=generator)
        restarted = codebook.restart_dead(z, generator, accelerator)
        assert (restarted == train_vqmodel.CODES) == (step == 0)
        codebook.follow(z, train_vqmodel.nearest_codes(weight, z), accelerator)
    nearest = torch.cdist(centres, weight).min(1).values
    assert nearest.max() < 0.5
    assert train_vqmodel.perplexity(codebook.count) > train_vqmodel.CODES / 4


def test_perplexity_is_the_number_of_equally_frequent_codes():
    assert train_vqmodel.perplexity(torch.tensor([3.0, 3.0, 3.0, 0.0])) == pytest.approx(3, rel=1e-5)
