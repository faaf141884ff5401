"""The exact resizes, by the name under which they are promised to others."""

from scorer.networks.resize import clean_fid_resize, open_clip_resize

__all__ = ["clean_fid_resize", "open_clip_resize"]
