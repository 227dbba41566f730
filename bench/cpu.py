"""Who used the processors: a measurement beside which others worked is worth less, and should say so. Linux only."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, hardware and software interrupts; the 8th, stolen, is nobody's here
_STAT = Path("/proc/stat")


def _ticks(stat: Path) -> float:
    """Processor seconds of one process, its threads included; 0 once it is gone."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _machine() -> float:
    fields = [int(each) for each in _STAT.read_text().partition("\n")[0].split()[1:]]
    return sum(fields[each] for each in _BUSY) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Use:
    """Processor seconds between two moments: of each process, and of everybody else on the machine."""

    processes: tuple[float, ...]
    others: float
    seconds: float

    @property
    def others_fraction(self) -> float:
        """The share of the whole machine that others had."""
        return max(0.0, self.others) / (self.seconds * (os.cpu_count() or 1))


@dataclass
class Meter:
    """Looks at the given processes whenever told to; says later what they used between two moments of the clock."""

    pids: tuple[int, ...]
    _samples: list[tuple[float, tuple[float, ...]]] = field(default_factory=list)

    def look(self) -> None:
        if _STAT.exists():
            ours = tuple(_ticks(Path(f"/proc/{pid}/stat")) for pid in self.pids)
            self._samples.append((time.time(), (*ours, _machine())))

    def between(self, start: float, end: float) -> Use | None:
        """By straight lines between looks; None where they do not cover it."""
        if not self._samples or start < self._samples[0][0] or end > self._samples[-1][0] or end <= start:
            return None
        first, last = self._at(start), self._at(end)
        used = [after - before for before, after in zip(first, last, strict=True)]
        return Use(tuple(used[:-1]), used[-1] - sum(used[:-1]), end - start)

    def _at(self, moment: float) -> list[float]:
        index = min(max(1, bisect_right(self._samples, moment, key=lambda each: each[0])), len(self._samples) - 1)
        (before, low), (after, high) = self._samples[index - 1], self._samples[index]
        share = (moment - before) / (after - before) if after > before else 0.0
        return [one + share * (two - one) for one, two in zip(low, high, strict=True)]
