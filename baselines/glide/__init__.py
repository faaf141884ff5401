"""GLIDE (Nichol et al., arXiv 2112.10741): text to images by guided diffusion, and editing by inpainting.

`pipeline.Glide` draws, with OpenAI's released weights or with weights of our own; `python -m baselines.glide` edits.
"""
