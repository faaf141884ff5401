"""Measurements of speed and memory, to be run on a machine that does nothing else: `make bench`."""
