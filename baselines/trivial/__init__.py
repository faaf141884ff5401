"""Baselines that draw nothing: they anchor every metric at its bottom (`noise`, `mean-image`) and top (`nearest`)."""
