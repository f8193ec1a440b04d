#!/usr/bin/env python3
"""What one step of a trace of gputrace.cpp spends where:  gpu_trace_table.py trace.csv STEPS [--marker REGEX] [--top 40]

A step begins where a kernel whose name matches --marker starts (one that runs once a step; default: adamw); the last
STEPS whole steps count. Prints, per kernel name, calls a step, microseconds a step (median over steps) and the share of the step,
then the time in which no stream ran anything (gaps) and the overlap.
"""
import argparse
import collections
import csv
import re
import statistics
import subprocess


def demangle(names):
    done = subprocess.run(["c++filt", "-p"], input="\n".join(names), capture_output=True, text=True)
    return done.stdout.split("\n") if done.returncode == 0 else names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("steps", type=int)
    parser.add_argument("--marker", default="adamw")
    parser.add_argument("--top", type=int, default=40)
    arguments = parser.parse_args()
    rows = sorted(((int(r["start_ns"]), int(r["end_ns"]), r["name"], int(r["blocks"]), int(r["threads"]))
                   for r in csv.DictReader(open(arguments.trace))))
    marks = [i for i, r in enumerate(rows) if re.search(arguments.marker, r[2])]
    if len(marks) < arguments.steps + 1:
        raise SystemExit(f"{len(marks)} markers, {arguments.steps + 1} needed: name a kernel that runs once a step")
    bounds = marks[-arguments.steps - 1:]
    by_name, steps, gaps, busy = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0])), [], [], []
    for s, (a, b) in enumerate(zip(bounds, bounds[1:])):
        length = rows[b][0] - rows[a][0]
        steps.append(length)
        end, idle = rows[a][0], 0
        for start, stop, name, blocks, threads in rows[a:b]:
            entry = by_name[name][s]
            entry[0] += 1
            entry[1] += stop - start
            idle += max(0, start - end)
            end = max(end, stop)
        idle += max(0, rows[b][0] - end)
        gaps.append(idle)
        busy.append(sum(r[1] - r[0] for r in rows[a:b]))
    step = statistics.median(steps)
    print(f"step {step / 1e6:.3f} ms (median of {len(steps)}); nothing runs {statistics.median(gaps) / 1e6:.3f} ms; "
          f"sum of kernels {statistics.median(busy) / 1e6:.3f} ms")
    table = sorted(((statistics.median(v[1] for v in d.values()), statistics.median(v[0] for v in d.values()), n)
                    for n, d in by_name.items()), reverse=True)
    pretty = demangle([n for _, _, n in table])
    for (ns, calls, _), name in list(zip(table, pretty))[: arguments.top]:
        print(f"{ns / 1e3:10.1f} us {100 * ns / step:5.1f} % {calls:6.0f} x {name[:150]}")


if __name__ == "__main__":
    main()
