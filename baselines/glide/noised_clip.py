"""The noised CLIP (GLIDE, section 3.3): an image tower that sees x_t and t, a causal text tower, one space."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.diffusion.process import Diffusion
from baselines.diffusion.samplers import Gradient
from baselines.glide import openai
from baselines.glide.config import ClipTowerConfig, NoisedClipConfig

# CLIP's normalisation (Radford et al., arXiv 2103.00020; the released preprocessing), of 8-bit values.
_MEAN = tuple(255 * mean for mean in (0.48145466, 0.4578275, 0.40821073))
_STD = tuple(255 * std for std in (0.26862954, 0.26130258, 0.27577711))


class ClipLayer(nn.Module):
    """Pre-norm attention and MLP; the keys have no bias, which the softmax would not see."""

    def __init__(self, config: ClipTowerConfig, causal: bool) -> None:
        super().__init__()
        width = config.width
        self.num_heads, self.causal = config.num_heads, causal
        self.layer_norm1 = nn.LayerNorm(width)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.layer_norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """The next hidden states."""
        normed = self.layer_norm1(x)
        query, key, value = (
            project(normed).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        x = x + self.out_proj(attended.transpose(1, 2).flatten(2))
        x = x + self.fc2(F.gelu(self.fc1(self.layer_norm2(x))))
        return x


class ClipTower(nn.Module):
    """Hidden states in, one embedding out; each tower makes its own hidden states."""

    def __init__(self, config: ClipTowerConfig, length: int, embed_dim: int, *, causal: bool) -> None:
        super().__init__()
        self.position_embedding = nn.Parameter(torch.randn(length, config.width) * 0.01)
        self.layers = nn.ModuleList(ClipLayer(config, causal) for _ in range(config.num_layers))
        self.final_layer_norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, embed_dim, bias=False)
        self.openai_keys = openai.clip_keys(config)
        self.register_load_state_dict_pre_hook(openai.rename)  # type: ignore[no-untyped-call]

    def encode(self, x: Float[Tensor, "b l d"], last: Int[Tensor, " b"]) -> Float[Tensor, "b embed"]:
        """The embedding read at position `last` of each sequence, not normalised."""
        for layer in self.layers:
            x = layer(x)
        probe = x[torch.arange(len(x), device=x.device), last]
        embedding: Tensor = self.projection(self.final_layer_norm(probe))
        return embedding


class NoisedImageEncoder(ClipTower):
    """x_t and t to an embedding. The start token is t's own: that is how the tower knows how noisy its image is."""

    def __init__(self, config: NoisedClipConfig) -> None:
        tower, patch = config.image, config.patch_size
        super().__init__(tower, (config.image_size // patch) ** 2 + 1, config.embed_dim, causal=False)
        self.time_embedding = nn.Embedding(config.train_timesteps, tower.width)
        self.patch_embedding = nn.Conv2d(3, tower.width, patch, stride=patch, bias=False)
        self.pre_layer_norm = nn.LayerNorm(tower.width)

    def forward(self, images: Float32[Tensor, "b 3 h w"], timesteps: Int[Tensor, " b"]) -> Float[Tensor, "b embed"]:
        """`images` are about -1 … 1; `timesteps` those of the training schedule. Not normalised."""
        mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        patches = self.patch_embedding(((images + 1) * 127.5 - mean) / std).flatten(2).transpose(1, 2)
        x = torch.cat([self.time_embedding(timesteps)[:, None], patches], dim=1)
        x = self.pre_layer_norm(x + self.position_embedding)
        return self.encode(x, torch.zeros_like(timesteps))


class NoisedTextEncoder(ClipTower):
    """CLIP's text tower, trained with the noised image tower."""

    def __init__(self, config: NoisedClipConfig) -> None:
        super().__init__(config.text, config.text_length, config.embed_dim, causal=True)
        self.token_embedding = nn.Embedding(config.vocab_size, config.text.width)

    def forward(self, tokens: Int[Tensor, "b l"], lengths: Int[Tensor, " b"]) -> Float[Tensor, "b embed"]:
        """`lengths` counts the start and end tokens; the end token's state is projected. Not normalised."""
        x = self.token_embedding(tokens) + self.position_embedding
        return self.encode(x, lengths - 1)


class NoisedClip(nn.Module):
    """Both towers. In training add a loss of your own: the released one's temperature is fixed."""

    def __init__(self, config: NoisedClipConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = NoisedImageEncoder(config)
        self.text_encoder = NoisedTextEncoder(config)

    def embed_images(self, images: Tensor, timesteps: Tensor) -> Float[Tensor, "b embed"]:
        """Of length 1."""
        return F.normalize(self.image_encoder(images, timesteps), dim=-1)

    def embed_texts(self, tokens: Tensor, lengths: Tensor) -> Float[Tensor, "b embed"]:
        """Of length 1."""
        return F.normalize(self.text_encoder(tokens, lengths), dim=-1)


def clip_gradient(clip: NoisedClip, text: Float[Tensor, "b embed"], process: Diffusion, scale: float) -> Gradient:
    """scale ∇ (f(x_t, t) · g(prompt)), with CLIP's logit scale (GLIDE, equation 6). `text` is of length 1."""

    def gradient(x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            similarity = (clip.embed_images(x, process.train_timesteps(t)) * text).sum() * clip.config.logit_scale
            return scale * torch.autograd.grad(similarity, x)[0]

    return gradient
