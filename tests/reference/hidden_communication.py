#!/usr/bin/env python3
"""How often `gpumonth fit` covers strong scaling whose communication hides behind backward until the batch is too small.

  tests/reference/hidden_communication.py GPUMONTH... [--curves N]        standard library only; programs see the same curves

Backward is 2/3 of compute; communication is as long at 16 to 512 ranks (drawn), and grows from there. Fitted on 1 .. 64 ranks
of a fixed global batch of 256, forecast at 128 and 256. Not a shape of the fit: docs/method.md has what came out."""
import argparse, json, math, os, random, subprocess, tempfile

arguments = argparse.ArgumentParser()
arguments.add_argument("programs", nargs="+")
arguments.add_argument("--curves", type=int, default=60)
given = arguments.parse_args()

random.seed(5)
targets = (128, 256)
inside = {program: [0, 0] for program in given.programs}
below = {program: [0, 0] for program in given.programs}
with tempfile.TemporaryDirectory() as folder:
    table = os.path.join(folder, "curve.csv")
    for _ in range(given.curves):
        noise = 0.003 * math.exp(random.gauss(0, 1))
        appears = 2 ** (4 + 5 * random.random())
        growth = 0.1 * random.random()

        def measured(n):
            cost = 1 + max(0, 2 / 3 * n / appears * (1 + growth * math.log2(n / appears)) - 2 / 3)
            return n / cost * math.exp(noise * random.gauss(0, 1))

        with open(table, "w") as file:
            file.write("ranks,samples_per_s,batch_per_rank\n")
            for n in (1, 2, 4, 8, 16, 32, 64):
                file.write(f"{n},{measured(n)},{256 / n}\n")
        later = [measured(n) for n in targets]
        for program in given.programs:
            command = [program, "fit", "--csv", table, "--predict", "128:2,256:1", "--json"]
            forecasts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["predictions"]
            for i, forecast in enumerate(forecasts):
                inside[program][i] += forecast["low"] <= later[i] <= forecast["high"]
                below[program][i] += later[i] < forecast["low"]
for program in given.programs:
    for i, n in enumerate(targets):
        print(f"{program}: {n} ranks: {100 * inside[program][i] / given.curves:.0f} % inside, "
              f"{100 * below[program][i] / given.curves:.0f} % below")
