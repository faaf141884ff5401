"""Stable Diffusion (Rombach et al., arXiv 2112.10752) by diffusers' own pipeline: a released one, or a small one."""
