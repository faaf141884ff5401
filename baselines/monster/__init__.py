"""Latent diffusion, trained from scratch on the bestiary."""
