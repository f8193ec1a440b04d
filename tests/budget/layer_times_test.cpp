// Blocks as measured: planted a T + b T^2, an H200's logs, and logs of which nothing of the kind can be said.
#include "budget/inputs/layer_times.h"

#include <algorithm>
#include <cmath>

#include "budget/budget.h"
#include "budget/formulas/measured_layers.h"
#include "runlog/reader.h"
#include "tests/budget/layer_samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using tests::contains;
using tests::layer_run;
using tests::PlantedLayers;

namespace {

constexpr double kPeak = 989.4e12, kClip = 184320;

const budget::LengthShares kOneClip = {{"clip", 1, kClip}};

budget::LayerFit fit_of(const std::vector<runlog::Run>& runs) {
  std::vector<budget::LayerLog> logs;
  for (const auto& run : runs) logs.push_back(budget::layer_log(budget::efficiency_of(run)));
  return budget::fit_layers(logs);
}

runlog::Run h200(const std::string& name) {
  return runlog::read(tests::source_path("docs/measurements/2026-11-27-h200/" + name + ".h5"));
}

const budget::Number& line(const budget::Budget& b, const std::string& id) { return tests::line(b, "layers", id); }

std::string notes_of(const budget::Budget& b) {
  std::string notes;
  for (const auto& note : b.notes) notes += note + "\n";
  return notes;
}

/// FLOP of training one block of the 20 B model on a sample of T tokens.
double block_flops(double T) { return 6 * (12 * T * 6144 * 6144 + 2 * T * T * 6144); }

}  // namespace

TEST_CASE("a planted a T + b T^2 comes back, whatever the depth and the batch", "[layers]") {
  const PlantedLayers planted;
  const auto fit = fit_of({layer_run(8, {.depth = 3}), layer_run(32, {.depth = 2}), layer_run(2, {.depth = 5})});
  CHECK(fit.times.all.linear_s_per_token == Approx(planted.a).epsilon(1e-9));
  CHECK(fit.times.all.attention_s_per_token2 == Approx(planted.b).epsilon(1e-9));
  CHECK(fit.times.forward.linear_s_per_token == Approx(planted.a / 3).epsilon(1e-9));
  CHECK(fit.lengths == 3);
  CHECK(fit.has_residual);
  CHECK(fit.model_error < 1e-9);  // nothing is left over
  const double seconds = planted.a * kClip + planted.b * kClip * kClip;
  const auto none = budget::utilisation_at(fit, tests::sora().model, kPeak, "none", kOneClip);
  CHECK(none.middle == Approx(block_flops(kClip) / (kPeak * seconds)));
  CHECK(none.low == Approx(none.middle));
  CHECK(none.high == Approx(none.middle));
  // 28 of 30 blocks once more: a third of a T, of a T + b T^2.
  const double linear = seconds + 28. / 30 * planted.a / 3 * kClip, full = seconds * (1 + 28. / 30 / 3);
  CHECK(budget::utilisation_at(fit, tests::sora().model, kPeak, "linear", kOneClip).middle ==
        Approx(block_flops(kClip) / (kPeak * linear)));
  CHECK(budget::utilisation_at(fit, tests::sora().model, kPeak, "full", kOneClip).middle ==
        Approx(block_flops(kClip) / (kPeak * full)));
}

TEST_CASE("times of several lengths add up: the harmonic mean by FLOPs", "[layers]") {
  const auto fit = fit_of({layer_run(8), layer_run(32)});
  const auto& model = tests::sora().model;
  const auto at = [&](const budget::LengthShares& lengths) {
    return budget::utilisation_at(fit, model, kPeak, "none", lengths).middle;
  };
  const double image = at({{"image", 1, 1024}}), clip = at(kOneClip);
  CHECK(at({{"clip", 0.7, kClip}, {"image", 0.3, 1024}}) == Approx(1 / (0.7 / clip + 0.3 / image)));
  CHECK(image != Approx(clip).epsilon(0.01));
}

TEST_CASE("a log that recomputed counts its second forward pass out", "[layers]") {
  auto run = layer_run(8, {.depth = 6});
  const auto without = budget::layer_log(budget::efficiency_of(run));
  for (auto& step : run.steps) {
    step.backward_s += step.forward_s * 4 / 6;  // all but two of six blocks
    step.hardware_flops = step.model_flops * 1.2;
  }
  const auto with = budget::layer_log(budget::efficiency_of(run));
  CHECK(with.all_s.front() == Approx(without.all_s.front()));
}

TEST_CASE("the interval holds the planted values where steps are noisy", "[layers]") {
  const PlantedLayers noisy{.noise = 0.03};
  const auto fit = fit_of({layer_run(8, noisy), layer_run(32, noisy)});
  const double exact = block_flops(kClip) / (kPeak * (noisy.a * kClip + noisy.b * kClip * kClip));
  const auto u = budget::utilisation_at(fit, tests::sora().model, kPeak, "none", kOneClip);
  CHECK(u.low < exact);
  CHECK(u.high > exact);
  // Of two lengths nothing is left over: the stated error alone makes the interval so wide.
  CHECK_FALSE(fit.has_residual);
  CHECK(u.middle / u.low >= std::exp(budget::kStatedModelError) * (1 - 1e-12));
  CHECK(u.high / u.middle >= std::exp(budget::kStatedModelError) * (1 - 1e-12));
}

TEST_CASE("a third length that does not lie on the curve widens the interval", "[layers]") {
  const auto off = fit_of({layer_run(8), layer_run(16, {.a = 4.4e-6, .b = 1.65e-10}), layer_run(32)});
  CHECK(off.model_error > 0.1);  // 10 % off, one degree of freedom
  CHECK(off.has_residual);
}

TEST_CASE("an H200's blocks of the 20 B model: 52 % of the peak on a whole clip", "[layers][h200]") {
  const auto fit = fit_of({h200("wide-d2-f8"), h200("wide-d2-f32")});
  REQUIRE(fit.logs.size() == 2);
  CHECK(fit.logs[0].tokens == 8192);
  CHECK(fit.logs[1].tokens == 32768);
  // Worked out by hand from the logs' last steps, of two blocks: a = 8.58 us, b = 0.297 ns.
  CHECK(2 * fit.times.all.linear_s_per_token == Approx(8.58e-6).epsilon(0.02));
  CHECK(2 * fit.times.all.attention_s_per_token2 == Approx(0.297e-9).epsilon(0.02));
  const auto& model = tests::sora().model;
  const auto none = budget::utilisation_at(fit, model, kPeak, "none", kOneClip);
  CHECK(none.middle == Approx(0.52).margin(0.01));
  CHECK(none.low < 0.52);
  CHECK(none.high > 0.52);
  CHECK(budget::utilisation_at(fit, model, kPeak, "full", kOneClip).middle == Approx(0.42).margin(0.01));
}

TEST_CASE("the Sora scenario takes the H200's blocks and leaves narrow models out", "[layers][h200]") {
  std::vector<budget::Efficiency> runs;
  for (const char* name : {"b2-256", "s2-256", "wide-d2-f32", "wide-d2-f8", "xl2-256", "xl2-512"})
    runs.push_back(budget::efficiency_of(h200(name)));
  const auto b = budget::make_budget(tests::sora({"training.data=article"}), runs);
  REQUIRE(b.layers.has_value());
  const auto& rung = *find(b.rungs, budget::RungId::measured_mfu);
  CHECK(rung.utilisation.low > 0.45);
  CHECK(rung.utilisation.high < 0.56);
  CHECK_THAT(rung.replacement, contains("measured at 8,192 and 32,768 tokens (2 run logs on NVIDIA H200)") &&
                                   contains("at 184,320 tokens (clip)") &&
                                   contains("carried over to the H100 SXM, same peak (assumed)"));
  CHECK(line(b, "mfu_clip").high < line(b, "mfu_without_recompute").high);
  CHECK(line(b, "mfu_image").known());
  const std::string notes = notes_of(b);
  CHECK_THAT(notes, contains("width 1,152, not 6,144") && contains("width 384, not 6,144") &&
                        contains("width 768, not 6,144") && contains("xl2-512.h5") && contains("b2-256.h5"));
  CHECK_THAT(budget::to_json_text(b), contains("\"mfu_clip\""));
  CHECK_THAT(budget::to_text(b), contains("MFU at 184,320 tokens"));
  for (const auto& input : rung.inputs) CHECK_FALSE(budget::describe_input(b, input).source.empty());
  // Whatever narrow logs stand beside them.
  const auto alone = budget::make_budget(tests::sora({"training.data=article"}), {runs[2], runs[3]});
  CHECK(find(alone.rungs, budget::RungId::measured_mfu)->gpu_months.low == rung.gpu_months.low);
  // Without the narrow ones the pooled MFU would span a factor of two.
  CHECK(budget::pooled_mfu(runs).high / budget::pooled_mfu(runs).low > 1.8);
}

TEST_CASE("by law the blocks are taken at every stage's length", "[layers][h200]") {
  std::vector<budget::Efficiency> runs;
  for (const char* name : {"wide-d2-f32", "wide-d2-f8"}) runs.push_back(budget::efficiency_of(h200(name)));
  const auto law = tests::sora({"training.data=law"});
  const auto lengths = budget::training_lengths(law);
  double all = 0;
  for (const auto& length : lengths) all += length.flop_share;
  CHECK(all == Approx(1));
  CHECK(lengths.front().tokens == 256);
  CHECK(lengths.back().tokens == 184320);
  const auto b = budget::make_budget(law, runs);
  REQUIRE(b.layers.has_value());
  REQUIRE(b.layers->mfu.size() == lengths.size());
  double time = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) time += lengths[i].flop_share / b.layers->mfu[i].low;
  CHECK(b.layers->utilisation.low >= 1 / time * (1 - 1e-9));  // all lengths at their worst at once
  CHECK_THAT(find(b.rungs, budget::RungId::measured_mfu)->replacement, contains("(minute_512_clips)"));
}

TEST_CASE("the plan's recompute is in the blocks' times, once", "[layers][recompute]") {
  const auto runs = tests::efficiencies({layer_run(8), layer_run(32)});
  const auto none = budget::make_budget(tests::sora({"plan.recompute=none", "hardware.memory_gb=5000"}), runs);
  const auto full = budget::make_budget(tests::sora({"plan.recompute=full", "hardware.memory_gb=5000"}), runs);
  const auto months = [](const budget::Budget& b, budget::RungId id) { return find(b.rungs, id)->draws.median; };
  const double expected = 1 + 28. / 30 / 3;  // forward is planted as a third of the time at every length
  CHECK(months(full, budget::RungId::measured_mfu) / months(none, budget::RungId::measured_mfu) ==
        Approx(expected).epsilon(1e-3));
  CHECK(months(full, budget::RungId::goodput) / months(none, budget::RungId::goodput) ==
        Approx(expected).epsilon(1e-3));
}

TEST_CASE("the scenario's own device is not carried over", "[layers]") {
  const PlantedLayers h100{.device = "NVIDIA H100 80GB HBM3"};
  const auto b = budget::make_budget(tests::sora(), tests::efficiencies({layer_run(8, h100), layer_run(32, h100)}));
  REQUIRE(b.layers.has_value());
  CHECK_FALSE(b.layers->carried_over);
  CHECK_THAT(find(b.rungs, budget::RungId::measured_mfu)->replacement, !contains("carried over"));
  CHECK(b.layers->utilisation.tag == budget::Tag::measured);
}

TEST_CASE("logs that say nothing of the scenario's blocks are named with the reason", "[layers]") {
  struct Case {
    PlantedLayers other;
    const char* why;
  };
  for (const auto& [other, why] : std::vector<Case>{{{.hidden_size = 1152, .num_heads = 9}, "width 1,152, not 6,144"},
                                                    {{.num_heads = 96}, "head size 64, not 128"},
                                                    {{.dtype = "fp32"}, "type fp32, not bf16"}}) {
    const auto b = budget::make_budget(tests::sora(), tests::efficiencies({layer_run(8, other), layer_run(32, other)}));
    INFO(why);
    CHECK_FALSE(b.layers.has_value());
    CHECK_THAT(notes_of(b), contains("layers as measured: none") && contains(why));
    CHECK(find(b.rungs, budget::RungId::measured_mfu)->gpu_months.tag != budget::Tag::published);  // pooled, as before
  }
  auto slow = layer_run(8, {.device = "NVIDIA L40S"});
  slow.info.peak_flops_per_s = 362e12;
  CHECK_THAT(notes_of(budget::make_budget(tests::sora(), tests::efficiencies({slow}))),
             contains("NVIDIA L40S, not H100 SXM or its peak"));
  auto silent = layer_run(8);
  silent.info.config_toml = "[run]\nsteps = 9\n";
  CHECK_THAT(notes_of(budget::make_budget(tests::sora(), tests::efficiencies({silent}))),
             contains("no model in the logged configuration"));
  auto timeless = layer_run(8);
  for (auto& step : timeless.steps) step.forward_s = NAN;
  CHECK_THAT(notes_of(budget::make_budget(tests::sora(), tests::efficiencies({timeless}))),
             contains("no times of forward and backward"));
}

TEST_CASE("one length, the same length twice, and times that fall", "[layers]") {
  CHECK_THROWS_WITH(fit_of({layer_run(8)}), contains("one length of samples says nothing"));
  CHECK_THROWS_WITH(fit_of({layer_run(8), layer_run(8, {.depth = 4})}), contains("add a log"));
  CHECK_THROWS_WITH(fit_of({layer_run(8), layer_run(32, {.a = 1e-6, .b = 1e-11})}),
                    contains("do not grow as a T + b T^2"));
  // In a budget these are notes, and the runs' MFU stands.
  const auto one = budget::make_budget(tests::sora(), tests::efficiencies({layer_run(8)}));
  CHECK_THAT(notes_of(one), contains("its blocks were measured at one length"));
  CHECK_THAT(find(one.rungs, budget::RungId::measured_mfu)->replacement, contains("run w6144-d2-f8.h5"));
  const auto falling =
      budget::make_budget(tests::sora(), tests::efficiencies({layer_run(8), layer_run(32, {.a = 1e-6, .b = 1e-11})}));
  CHECK_FALSE(falling.layers.has_value());
  CHECK_THAT(notes_of(falling), contains("do not grow"));
}

TEST_CASE("blocks faster than the peak are not this machine's", "[layers]") {
  const PlantedLayers impossible{.a = 1e-6, .b = 1e-11};
  const auto b =
      budget::make_budget(tests::sora(), tests::efficiencies({layer_run(8, impossible), layer_run(32, impossible)}));
  CHECK_FALSE(b.layers.has_value());
  CHECK_THAT(notes_of(b), contains("exceed the peak"));
}
