"""The check of shapes that jaxtyping's hook puts around the functions of a room while the tests run.

Only where an annotation has a shape, such as `Float[Tensor, "b c h w"]`: plain types are mypy's to check, without
running anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

# An int is a float wherever one is asked for, as in every type checker.
_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_SHAPE = re.compile(r"\b(Bool|U?Int|Float|Num|Shaped)\d*\[")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which refuses tensors and arrays of other shapes and dtypes than its annotations say."""
    has_shape = any(_SHAPE.search(str(annotation)) for annotation in function.__annotations__.values())
    return _checked(function) if has_shape else function
