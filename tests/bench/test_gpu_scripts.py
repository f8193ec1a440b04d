#!/usr/bin/env python3
"""The parts of the GPU benchmark that need neither a GPU nor PyTorch: python3 tests/bench/test_gpu_scripts.py"""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gpu_cases  # noqa: E402
import gpu_table  # noqa: E402
import gpu_watch  # noqa: E402
from side_by_side import run_pair  # noqa: E402


class Cases(unittest.TestCase):
    def test_every_case_has_a_model_that_is_there(self):
        for case in gpu_cases.CASES.values():
            self.assertGreater(gpu_cases.train_flops(case.config), 0, case.name)
        self.assertEqual(gpu_cases.CASES["wide-d4-f8"].config.tokens, 8 * 1024)
        self.assertEqual([case.name for case in gpu_cases.select("s2-256,main")][0], "s2-256")
        with self.assertRaises(KeyError):
            gpu_cases.select("xl2-128")

    def test_layer_times_come_out_of_differences(self):
        frames, batch = (1, 2, 4, 8), lambda f: max(1, 8 // f)
        times = {(d, f): (0.01 * f + 0.001 * f * f) * d * batch(f) + 0.05 for d in (1, 2, 4) for f in frames}
        updates = {(d, f): 0.008 * d + 0.002 for d, f in times}
        fit = gpu_cases.fit_wide(times, updates, {f: batch(f) for f in frames}, 989.4e12)
        for row in fit["layers"]:
            self.assertAlmostEqual(row["layer_s_per_sample"], 0.01 * row["frames"] + 0.001 * row["frames"] ** 2)
            self.assertAlmostEqual(row["rest_s"], 0.05)
            self.assertAlmostEqual(row["optimizer_s_per_layer"], 0.008)
            # One block, forward and backward: 6 (T (4 h h + 2 h 4h) + 2 T T h + 6 h h) FLOPs
            t, h = row["frames"] * 1024, 6144
            flops = 6 * (12 * t * h * h + 2 * t * t * h + 6 * h * h)
            self.assertAlmostEqual(row["layer_flops_per_s"] * row["layer_s_per_sample"] / flops, 1)
        self.assertAlmostEqual(fit["layer_s_per_frame"], 0.01)
        self.assertAlmostEqual(fit["layer_s_per_frame_squared"], 0.001)
        self.assertIn("| 8 | 1 | 1, 2, 4 | 144.000 | ", "\n".join(gpu_table.wide_table(fit)))
        self.assertEqual(gpu_cases.fit_wide({(1, 1): 0.1}, {(1, 1): 0.1}, {1: 8}, None)["layers"], [])

    def test_pairs_alternate(self):
        order = []
        sides = {side: lambda side=side, s=s: order.append(side) or dict(median_step_time_s=s)
                 for side, s in (("gpumonth", 2), ("pytorch", 3))}
        self.assertEqual([run_pair(sides, i)["ratio"] for i in range(3)], [1.5] * 3)
        self.assertEqual(order, ["gpumonth", "pytorch", "pytorch", "gpumonth", "gpumonth", "pytorch"])


class Watch(unittest.TestCase):
    def test_rows_of_nvidia_smi(self):
        self.assertEqual(gpu_watch.numbers("1000, 99.5, 1980, 41"), [1000, 99.5, 1980, 41])
        self.assertEqual(gpu_watch.numbers("1000, [N/A], 1980, 41")[1], None)
        self.assertIsNone(gpu_watch.numbers("No devices were found"))

    def test_idle_samples_do_not_count(self):
        rows = [[500, 80, 345, 30], [70500, 690, 1700, 60], [70500, 700, 1710, 62], [900, 90, 345, 40]]
        result = gpu_watch.summarize(rows, 500)
        self.assertEqual(result["peak_memory_bytes"], 70000 * gpu_watch.MIB)
        middle = [result[key] for key in ("busy_power_w", "busy_sm_clock_mhz", "busy_temperature_c")]
        self.assertEqual(middle, [695, 1705, 61])
        self.assertEqual(set(gpu_watch.summarize([], None).values()), {None})


class Table(unittest.TestCase):
    def page(self, device):
        pair = dict(gpumonth=dict(median_step_time_s=0.2, peak_memory_bytes=60 << 30, busy_power_w=690,
                                  busy_sm_clock_mhz=1500),
                    pytorch=dict(median_step_time_s=0.25, peak_memory_bytes=None, torch="2.9"), ratio=1.25)
        flops = gpu_cases.train_flops(gpu_cases.CASES["xl2-256"].config)
        return gpu_table.markdown(dict(
            gpu=dict(name=device), machine=dict(cpu="Some CPU"), smoke_test=False, dates=["2026-01-01"], modes={},
            hardware=gpu_table.hardware_of(device), wide_fit={}, cases={
                "xl2-256": dict(batch=128, pytorch_mode="masters-whole-cudnn", train_flops_per_sample=flops, pairs=[pair]),
                "xl2-512": dict(batch=0, pairs=[], skipped="does not fit", train_flops_per_sample=1)}))

    def test_known_device(self):
        page = self.page("NVIDIA H100 80GB HBM3")
        # 711.8 GFLOP x 128 / 0.2 s / 989.4 TFLOP/s
        self.assertIn("| xl2-256 | 128 | gpumonth | 200.00 | 640.00 | 455.5 | 46.0 | 60.0 |", page)
        self.assertIn("| 690 | 1500 | 56.2 |", page)  # 46.04 % x 1,830 / 1,500 MHz
        self.assertIn("| xl2-256 | 1.250 | 1.250 | 1.250 | 1 |", page)
        self.assertIn("- xl2-512: does not fit", page)

    def test_unknown_device_has_no_mfu(self):
        page = self.page("NVIDIA H100 80GB HBM3 MIG 1g.10gb")
        self.assertIn("| 455.5 | n/a | 60.0 | 690 | 1500 | n/a |", page)
        self.assertIn("no MFU is given", page)


if __name__ == "__main__":
    unittest.main()
