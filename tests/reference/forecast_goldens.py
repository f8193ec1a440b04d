#!/usr/bin/env python3
"""Forecasts of forecast_method.py, the reference in float64, for tests/scaling/fit/golden_test.cpp.

  tests/reference/forecast_goldens.py > tests/scaling/fit/forecasts.csv        needs numpy and scipy

Every curve of throughput of the published tables is cut after its third, fourth, ... rank count, and every later place is
forecast by itself: with several targets at once the reference takes its grid of batch shares for all of them."""
import os, sys
sys.path.insert(0, os.path.dirname(__file__))
import forecast_method as reference

root = os.path.join(os.path.dirname(__file__), "..", "..", "configs", "published")
print("table,curve,trained_on,ranks,batch_per_rank,samples_per_s,low,high")
for table in ("scaling.csv", "scaling-fresh-1.csv", "scaling-fresh-2.csv"):
    for name, curve in reference.library([os.path.join(root, table)]).items():
        points = sorted(curve["points"], key=lambda p: (p[0], -(p[2] or 0)))
        counts = sorted({p[0] for p in points})
        for last, end in zip(counts[2:-1], range(3, len(counts))):
            train = [p for p in points if p[0] <= last]
            for ranks, batch in dict.fromkeys((p[0], p[2]) for p in points if p[0] > last):
                x, low, high = reference.forecast(train, [(ranks, batch)])[0]
                print(f"{table},{name},{last},{ranks},{'' if batch is None else repr(batch)},{x!r},{low!r},{high!r}")
