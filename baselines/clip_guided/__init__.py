"""CLIP-guided diffusion: an unconditional pixel diffusion whose samples a CLIP pulls towards the prompt.

`pipeline.ClipGuided` draws with one of three guides or none; `python -m baselines.clip_guided.train` makes all four
networks.
"""
