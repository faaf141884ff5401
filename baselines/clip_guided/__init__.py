"""CLIP-guided diffusion: an unconditional pixel diffusion whose samples a CLIP pulls towards the prompt.

`pipeline.ClipGuided` draws with one of four guides, two that pull together, or none;
`python -m baselines.clip_guided.train` makes the diffusion and the guides.
"""
