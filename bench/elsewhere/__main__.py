"""`lifetimes` on CDNOW, in an environment of its own: writes what tests/analysis/test_published.py compares with.

python -m bench.elsewhere [FILE]     (made anew: tests/analysis/lifetimes.json)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.small.environments import python_of

JOB: Final = Path(__file__).resolve().parent / "lifetimes_job.py"
FILE: Final = Path("tests/analysis/lifetimes.json")
_SECONDS: Final = 120.0


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    subprocess.run([str(python_of("lifetimes")), str(JOB), str(file)], check=True, timeout=_SECONDS)
    print(f"Written: {file}")


if __name__ == "__main__":
    main()
