"""The shop of `tests/pipeline`, for worse days.

`--long`, as `make faults` gives it, has hundreds of faults; without it there are a few.
"""

from __future__ import annotations

from tests.pipeline.conftest import shop

__all__ = ["shop"]
