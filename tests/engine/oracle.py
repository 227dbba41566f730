"""What the small job should come to, computed plainly. Imports nothing of Wafa's: the negative control uses it too."""

from __future__ import annotations

import json
from collections.abc import Iterable

EVERY = 10
"""The job says something at every tenth event of a key."""


def oracle(records: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, list[int]], list[tuple[bytes, list[int]]]]:
    """State and outputs of one input partition, computed plainly."""
    state: dict[bytes, list[int]] = {}
    outputs = []
    for key, value in records:
        count, total = state.get(key, [0, 0])
        state[key] = [count + 1, total + json.loads(value)["n"]]
        if state[key][0] % EVERY == 0:
            outputs.append((key, state[key]))
    return state, outputs
