"""BG/NBD and MBG/NBD by `lifetimes` on the CDNOW summary it carries: parameters, then of every customer two figures.

python lifetimes_job.py FILE
"""

import json
import sys
from pathlib import Path
from typing import Any

import lifetimes
import pandas as pd

WEEKS = 39
MODELS = {"bg": lifetimes.BetaGeoFitter, "mbg": lifetimes.ModifiedBetaGeoFitter}

folder = Path(lifetimes.__file__).parent / "datasets"
rows = pd.read_csv(folder / "cdnow_customers_summary_with_transactions.csv")
states = [rows[name] for name in ("x", "t_x", "T")]


def said_by(kind: Any) -> dict[str, list[float]]:
    model = kind().fit(*states)
    orders = model.conditional_expected_number_of_purchases_up_to_time(WEEKS, *states)
    return {
        "parameters": [round(float(model.params_[name]), 5) for name in ("r", "alpha", "a", "b")],
        "orders": [round(float(each), 5) for each in orders],
        "p_alive": [round(float(each), 5) for each in model.conditional_probability_alive(*states)],
    }


said = {name: said_by(kind) for name, kind in MODELS.items()}
Path(sys.argv[1]).write_text(json.dumps(said, separators=(",", ":")).replace("],", "],\n").replace("},", "},\n") + "\n")
