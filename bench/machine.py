"""The machine that figures come from: they mean nothing without it."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    return {
        "cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform(),
        "load_average_before": round(os.getloadavg()[0], 2),
    }  # fmt: skip
