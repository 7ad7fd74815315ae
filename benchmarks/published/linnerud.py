"""CCA of Linnerud's table, exact, against the correlations that the manual of SAS prints.

python benchmarks/published/linnerud.py --output=linnerud.json
python benchmarks/published/table.py --results=DIR --output=docs/results/published.md

Twenty men: weight, waist and pulse against chin-ups, sit-ups and jumps. scikit-learn ships the table; --data reads
a CSV file of the six columns in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from absl import app, flags
from common import Results

DATA = flags.DEFINE_string("data", "", "CSV with weight, waist, pulse, chins, situps, jumps.")
OUTPUT = flags.DEFINE_string("output", "", "JSON file of the results.")


def table(path: str) -> tuple[np.ndarray, np.ndarray]:
    """([20, 3] measures of the body, [20, 3] exercises)."""
    if path:
        values = np.loadtxt(path, delimiter=",", skiprows=1)
        return values[:, :3], values[:, 3:]
    from sklearn.datasets import load_linnerud

    found = load_linnerud()
    return found.target, found.data


def main(arguments: Sequence[str]) -> None:
    from huse_tf.methods.canonical_projections import canonical_projections

    if len(arguments) > 1:
        raise app.UsageError(f"Settings are given as --NAME=VALUE. Received: {arguments[1:]}.")
    body, exercises = table(DATA.value)
    found = canonical_projections(body, exercises, np.ones(len(body)), 3, 0.0)
    row = {f"correlation/{k}": float(value) for k, value in enumerate(found.correlations, 1)}
    results = Results(OUTPUT.value, "linnerud", sys.argv, {"data": bool(DATA.value)})
    if not results.has(seed=0):
        results.add(method="CCA", seed=0, **row)


if __name__ == "__main__":
    app.run(main)
