"""The check of types and shapes that jaxtyping's hook puts around every function of a room while the tests run."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

# An int is a float wherever one is asked for, as in every type checker.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
