"""Generators: prompts in, images out. `python -m baselines MODEL --competition C --out DIR` draws a submission."""

from baselines.generator import Generator, GeneratorError
from baselines.registry import load

__all__ = ["Generator", "GeneratorError", "load"]
