"""diffusers' Transformer2DModel over codes: its logits, and a norm that takes a time for each picture."""

from __future__ import annotations

from diffusers import Transformer2DModel
from diffusers.models.normalization import AdaLayerNorm
from jaxtyping import Float, Int
from torch import Tensor

from baselines.pretrained import Pretrained
from baselines.weight_files import load_weights

EMBEDDINGS = "learned_classifier_free_sampling_embeddings"  # the folder of what stands for no caption


class AdaLayerNormPerImage(AdaLayerNorm):  # type: ignore[misc]
    """diffusers' AdaLayerNorm for a time (B,) per picture; its own takes one for the whole batch. The same weights."""

    def forward(self, x: Float[Tensor, "b l d"], timestep: Int[Tensor, " b"]) -> Float[Tensor, "b l d"]:
        scale, shift = self.linear(self.silu(self.emb(timestep)))[:, None].chunk(2, dim=-1)
        x = self.norm(x) * (1 + scale) + shift
        return x


def load_transformer(folder: Pretrained) -> Transformer2DModel:
    """What Transformer2DModel.from_pretrained does, but for a config.json of 2022 as well, which has no norm_type.

    Raises:
        MissingPart: the weights are not there.
        UsageError: they are damaged, or do not fit the network of their config.json.
    """
    (file, *_), _ = folder.weights_of("transformer", pickles=True)
    config = Transformer2DModel.load_config(file.parent, local_files_only=True)
    network = Transformer2DModel.from_config({**config, "norm_type": "ada_norm"})
    load_weights(network, file)
    return network


def with_time_per_image(transformer: Transformer2DModel) -> Transformer2DModel:
    """`transformer` itself, its time-dependent norms replaced in place, its weights and their names as they were."""
    for block in transformer.transformer_blocks:
        for name in ("norm1", "norm2"):
            old = getattr(block, name)
            new = AdaLayerNormPerImage(old.emb.embedding_dim, old.emb.num_embeddings)
            new.to(old.linear.weight.device, old.linear.weight.dtype).load_state_dict(old.state_dict())
            setattr(block, name, new)
    return transformer


def logits(
    transformer: Transformer2DModel, codes: Int[Tensor, "b l"], t: Int[Tensor, " b"], text: Float[Tensor, "b n d"]
) -> Float[Tensor, "b l k"]:
    """Unnormalised log-probabilities of each place's code in the clean picture, for `codes` at times `t`.

    The forward pass of Transformer2DModel for codes without its last step, a float64 log-softmax, which takes longer
    than a small transformer, and without its output object, which warns of its removal. Call `with_time_per_image`
    first.
    """
    hidden: Tensor = transformer.latent_image_embedding(codes)
    for block in transformer.transformer_blocks:
        hidden = block(hidden, encoder_hidden_states=text, timestep=t)
    hidden = transformer.out(transformer.norm_out(hidden))
    return hidden
