"""Forecasts of the real Extra-P on the cuts of `gpumonth fit --validate`: a check during development, not in tests/run.sh.

    python3 -m venv /tmp/extrap && /tmp/extrap/bin/pip install extrap==4.2.0
    /tmp/extrap/bin/python tests/reference/check_extrap.py configs/published/scaling.csv

The metric is ranks / throughput, the parameter the number of ranks, the modeler Extra-P's default for one parameter. Prints
the median absolute error of throughput, in per cent, by the classes that --validate prints, where it stands as Extra-P-like.
"""

import csv
import statistics
import sys

from extrap.entities.coordinate import Coordinate
from extrap.entities.measurement import Measurement
from extrap.entities.parameter import Parameter
from extrap.modelers.single_parameter.basic import SingleParameterModeler


def curves(path):
    """{name: (is weak, [(ranks, throughput), ...])} of the curves of throughput with at least 4 rank counts."""
    found = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            if "B/s" in row["unit"] or not row["samples_per_s"]:
                continue
            weak, points = found.setdefault(row["curve"], (row["kind"].startswith("weak"), []))
            points.append((int(row["ranks"]), float(row["samples_per_s"])))
    return {name: (weak, sorted(points)) for name, (weak, points) in found.items() if len(points) >= 4}


def forecast(train, ranks):
    measurements = [Measurement(Coordinate(n), None, None, [n / x]) for n, x in train]
    model = SingleParameterModeler().create_model(measurements)
    return ranks / float(model.hypothesis.function.evaluate(ranks))


def main():
    errors = {}
    for weak, points in curves(sys.argv[1]).values():
        for cut in range(3, len(points)):
            for ranks, measured in points[cut:]:
                reach = ranks / points[cut - 1][0]
                bound = next(b for b in (2.5, 5, 12, float("inf")) if reach <= b)
                error = 100 * abs(forecast(points[:cut], ranks) / measured - 1)
                errors.setdefault(("weak" if weak else "mixed", bound), []).append(error)
    for (kind, bound), values in sorted(errors.items(), reverse=True):
        print(f"{kind:6} N/N_train <= {bound:<5} n = {len(values):3}  median {statistics.median(values):6.2f} %")


if __name__ == "__main__":
    main()
