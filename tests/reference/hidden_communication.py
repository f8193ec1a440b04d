#!/usr/bin/env python3
"""How often `gpumonth fit` covers strong scaling whose communication hides behind backward until the batch is too small.

  tests/reference/hidden_communication.py GPUMONTH... [--curves N] [--law backward|two-levels]
                                                         standard library only; programs see the same curves

backward: backward is 2/3 of compute; communication is as long at 16 to 512 ranks (drawn), and grows from there.
two-levels: a ring inside hosts of 8 and one across hosts on a link 2 to 8 times as slow, latency by log N, a cost of every
  step that no batch shrinks; half to all of backward hides it, but for 0 to 5 % that always show. At 64 ranks it is 1/8 to
  4 times as long as what hides it.
Fitted on 1 .. 64 ranks of a fixed global batch, forecast at 128 and 256. No constant of the fit was chosen by these curves:
docs/method.md has what came out."""
import argparse, json, math, os, random, subprocess, tempfile

arguments = argparse.ArgumentParser()
arguments.add_argument("programs", nargs="+")
arguments.add_argument("--curves", type=int, default=60)
arguments.add_argument("--law", choices=("backward", "two-levels"), default="backward")
given = arguments.parse_args()


def backward():
    noise = 0.003 * math.exp(random.gauss(0, 1))
    appears = 2 ** (4 + 5 * random.random())
    growth = 0.1 * random.random()

    def measured(n):
        cost = 1 + max(0, 2 / 3 * n / appears * (1 + growth * math.log2(n / appears)) - 2 / 3)
        return n / cost * math.exp(noise * random.gauss(0, 1))

    return measured


def two_levels():
    link = 2 ** random.uniform(-3, -1)
    over_window = 2 ** random.uniform(-3, 2)
    overlap = random.uniform(0.5, 1)
    leak = random.uniform(0, 0.05)
    latency = random.uniform(0, 0.03)
    noise = math.exp(random.uniform(math.log(0.002), math.log(0.01)))
    fixed = random.uniform(0, 0.02) * batch / 64

    def ring(n):
        return 2 * (1 - 1 / n)

    def communication(n):
        inside = min(n, 8)
        return ring(inside) + ring(n / inside) / link + latency * math.log2(n)

    scale = over_window * overlap * 2 / 3 * (batch / 64) / communication(64)

    def measured(n):
        b = batch / n
        comm = scale * communication(n)
        step = fixed + b + max(leak * comm, comm - overlap * 2 / 3 * b)
        return batch / step * math.exp(noise * random.gauss(0, 1))

    return measured


random.seed(5)
batch = 256 if given.law == "backward" else 512
targets = (128, 256)
inside = {program: [0, 0] for program in given.programs}
below = {program: [0, 0] for program in given.programs}
with tempfile.TemporaryDirectory() as folder:
    table = os.path.join(folder, "curve.csv")
    for _ in range(given.curves):
        measured = backward() if given.law == "backward" else two_levels()
        with open(table, "w") as file:
            file.write("ranks,samples_per_s,batch_per_rank\n")
            for n in (1, 2, 4, 8, 16, 32, 64):
                file.write(f"{n},{measured(n)},{batch / n}\n")
        later = [measured(n) for n in targets]
        wanted = ",".join(f"{n}:{batch // n}" for n in targets)
        for program in given.programs:
            command = [program, "fit", "--csv", table, "--predict", wanted, "--json"]
            forecasts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["predictions"]
            for i, forecast in enumerate(forecasts):
                inside[program][i] += forecast["low"] <= later[i] <= forecast["high"]
                below[program][i] += later[i] < forecast["low"]
for program in given.programs:
    for i, n in enumerate(targets):
        print(f"{program}: {n} ranks: {100 * inside[program][i] / given.curves:.0f} % inside, "
              f"{100 * below[program][i] / given.curves:.0f} % below")
