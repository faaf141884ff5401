"""VQ-Diffusion: discrete diffusion over the codes of a picture (Gu et al., arXiv 2111.14822)."""
