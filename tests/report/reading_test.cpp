// One reading of a run: every command counts the same steps, gives the same throughput, puts the same logs on one
// curve, and counts a log once.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>

#include "base/error.h"
#include "base/format.h"
#include "base/hdf5.h"
#include "budget/budget.h"
#include "budget/inputs/efficiency.h"
#include "budget/plan/scaling_basis.h"
#include "report/figures.h"
#include "report/report.h"
#include "runlog/reader.h"
#include "scaling/bootstrap.h"
#include "scaling/compare/run_set.h"
#include "scaling/curve_of_runs.h"
#include "scaling/fit/components.h"
#include "scaling/run_logs.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/foreign.h"

using namespace gpumonth;
using tests::contains;
using tests::run_command;

namespace {

namespace fs = std::filesystem;
const std::string kBinary = std::string(GPUMONTH_BINARY) + " ";
const std::string kScenario = tests::source_path("configs/scenarios/dit-xl-2-256.toml");

/// A run with all that makes rules differ: noise, a stall, a slow first part, checkpoints, and where `ramp` a batch
/// that grows. At 1e9 FLOP a sample.
runlog::Run uneven_run(int ranks, bool ramp = false, unsigned seed = 1) {
  auto run = tests::make_run(0.4, ranks, 120);
  std::mt19937 random(seed + static_cast<unsigned>(ranks));
  std::lognormal_distribution<double> noise(0, 0.05);
  for (auto& s : run.steps) {
    s.samples = ranks * (ramp && s.step > 60 ? 32 : 8);
    s.tokens = 256 * s.samples;
    s.step_time_s = 0.0125 * static_cast<double>(s.samples) / ranks * noise(random) * (s.step < 40 ? 1.5 : 1);
    if (s.step == 77) s.step_time_s = 3;
    if (s.step % 25 == 0) s.phase = runlog::Phase::checkpoint;
    s.model_flops = s.hardware_flops = 1e9 * static_cast<double>(s.samples);
  }
  run.info.global_batch = 8 * ranks;
  run.info.gemm_peak_flops_per_s = 1e12;
  run.info.start_time_unix_s = 1.7e9 + ranks + 1000.0 * seed;
  return run;
}

std::string write(const tests::TemporaryFolder& folder, const runlog::Run& run, const std::string& name) {
  const fs::path file = folder.path() / name;
  runlog::write(file, run);
  return file.string();
}

/// The h5py lines of docs/runlog.md, on the datasets themselves:
/// steady = steps[steps.phase == 1]; steady.samples.sum() / steady.step_time_s.sum()
double by_the_documented_lines(const std::string& file) {
  const auto log = hdf5::File::open(file);
  const auto column = [&](const char* name) {
    const auto dataset = log.dataset(std::string("/steps/") + name);
    std::vector<double> values(static_cast<std::size_t>(dataset.shape()[0]));
    dataset.read(values.data());
    return values;
  };
  std::vector<std::uint8_t> phase(column("samples").size());
  log.dataset("/steps/phase").read(phase.data());
  const auto samples = column("samples"), time_s = column("step_time_s");
  double all_samples = 0, all_s = 0;
  for (std::size_t i = 0; i < phase.size(); ++i)
    if (phase[i] == 1) all_samples += samples[i], all_s += time_s[i];
  return all_samples / all_s;
}

/// uneven_run(), of another kind; `slower`: times the steps, which tells it from a measured run.
runlog::Run run_of_kind(runlog::Origin origin, int ranks, double slower) {
  auto run = uneven_run(ranks);
  for (auto& s : run.steps) s.step_time_s *= slower;
  run.info.origin = origin;
  run.path = fmt::format("{}-{}.h5", name(origin), ranks);
  return run;
}

/// Measured on 1 and 2 ranks, replayed on 2 and 4, simulated on 2, 4, 8: in no order.
std::vector<runlog::Run> runs_of_all_kinds() {
  using runlog::Origin;
  return {run_of_kind(Origin::simulated, 8, 1.2), run_of_kind(Origin::simulated, 2, 1.5),
          run_of_kind(Origin::replayed, 4, 1.1),  run_of_kind(Origin::replayed, 2, 1.4),
          run_of_kind(Origin::measured, 1, 1),    run_of_kind(Origin::measured, 2, 1),
          run_of_kind(Origin::simulated, 4, 1.6)};
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

nlohmann::json json_of(const std::string& arguments) {
  const auto result = run_command(kBinary + arguments);
  INFO(arguments << ": " << result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

std::string error_of(const std::string& arguments) {
  const auto result = run_command(kBinary + arguments);
  INFO(arguments << ": " << result.err);
  CHECK(result.exit_code == 2);
  CHECK(result.out.empty());
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  return result.err;
}

}  // namespace

TEST_CASE("fit, compare, budget, report and the documented h5py lines give one throughput", "[reading][command]") {
  const std::string doc = text_of(tests::source_path("docs/runlog.md"));
  CHECK_THAT(doc, contains("steady = steps[steps.phase == 1]"));
  CHECK_THAT(doc, contains("steady.samples.sum() / steady.step_time_s.sum()"));
  for (const bool ramp : {false, true}) {
    const tests::TemporaryFolder folder;
    const std::string one = write(folder, uneven_run(1, ramp), "n1.h5"),
                      two = write(folder, uneven_run(2, ramp), "n2.h5");
    const double x1 = by_the_documented_lines(one), x2 = by_the_documented_lines(two);
    CHECK(x1 != Approx(x2).epsilon(0.1));
    const auto fit = json_of("fit --json " + one + " " + two);
    CHECK(fit["curve"]["points"][0]["samples_per_s"].get<double>() == Approx(x1).epsilon(1e-12));
    CHECK(fit["curve"]["points"][1]["samples_per_s"].get<double>() == Approx(x2).epsilon(1e-12));
    const auto compare = json_of("compare --json " + one + "," + two + " " + one + "," + two);
    CHECK(compare["rows"][1]["a"]["samples_per_s_per_rank"].get<double>() == Approx(x2 / 2).epsilon(1e-12));
    const auto budget = json_of("budget --json " + kScenario + " --runs " + one + " " + two);
    CHECK(budget["runs"][0]["samples_per_s"].get<double>() == Approx(x1).epsilon(1e-12));
    CHECK(budget["runs"][0]["mfu"].get<double>() == Approx(x1 * 1e9 / 1e12).epsilon(1e-12));
    CHECK(budget["runs"][0]["steady_steps"] == 113);
    CHECK(budget["runs"][0]["warm_up_steps"] == 3);
    CHECK(budget["runs"][0]["checkpoint_steps"] == 4);
    CHECK_THAT(runlog::to_text(runlog::summarize(runlog::read(one))), contains(fmt::format("{:.2f} samples/s", x1)));
    for (const auto* out : {&fit, &compare, &budget})
      CHECK_THAT((*out)["notes"].dump(), contains("warm_up, 8 checkpoint"));
    if (ramp) continue;
    const std::string page = (folder.path() / "r.html").string();
    REQUIRE(run_command(kBinary + "report " + one + " -o " + page).exit_code == 0);
    const std::string html = text_of(page);
    CHECK_THAT(html, contains(">" + grouped(x1) + "<"));
    CHECK_THAT(html, contains("3 warm_up, 4 checkpoint"));
    CHECK_THAT(html, contains("are slower than the rest and count"));
  }
}

TEST_CASE("fit, report and budget --runs show the same curve and forecast", "[reading]") {
  std::vector<runlog::Run> runs;
  std::vector<budget::Efficiency> efficiencies;
  for (const int ranks : {1, 2, 4}) {
    for (const unsigned seed : {1u, 2u}) {
      runs.push_back(uneven_run(ranks, false, seed));
      runs.back().path = fmt::format("n{}-{}.h5", ranks, seed);
      efficiencies.push_back(budget::efficiency_of(runs.back()));
    }
  }
  // as `fit` does
  scaling::FitOptions options;
  options.components = scaling::step_model(std::make_shared<const scaling::Components>(scaling::fit_components(runs)));
  const auto fit = scaling::fit_curve(scaling::curve_of_runs(runs), options);
  // as `report` does without a scenario, and as `budget --runs` does
  const auto components = budget::components_of(runs, efficiencies);
  const auto page = budget::fit_of_runs(efficiencies, components);
  auto scenario = budget::load_scenario(kScenario, {"scaling.source=runs"});
  std::vector<std::string> notes;
  const auto basis = budget::scaling_basis(scenario, efficiencies, 16, components, notes);
  REQUIRE(page);
  REQUIRE(basis);
  for (const scaling::Fit* other : {&*page, &basis->fit}) {
    REQUIRE(other->curve().points.size() == fit.curve().points.size());
    for (std::size_t i = 0; i < fit.curve().points.size(); ++i) {
      const auto &a = fit.curve().points[i], &b = other->curve().points[i];
      INFO(a.run << " " << b.run);
      CHECK((a.run == b.run && a.ranks == b.ranks));
      CHECK((a.samples_per_s == b.samples_per_s && a.batch_per_rank == b.batch_per_rank));
    }
    for (const std::int64_t ranks : {8, 16, 64}) {
      const auto a = fit.predict(ranks, 8), b = other->predict(ranks, 8);
      INFO("at " << ranks << " ranks");
      CHECK((a.samples_per_s == b.samples_per_s && a.low == b.low && a.high == b.high));
    }
  }
}

TEST_CASE("at a place with runs of several kinds the best kind counts, in fit, report and budget", "[reading]") {
  const std::vector<runlog::Run> runs = runs_of_all_kinds();
  const std::vector<std::string> expected = {"measured-1.h5", "measured-2.h5", "replayed-4.h5", "simulated-8.h5"};
  std::vector<budget::Efficiency> efficiencies;
  for (const auto& run : runs) efficiencies.push_back(budget::efficiency_of(run));
  const auto components = budget::components_of(runs, efficiencies);
  scaling::FitOptions options;
  options.components = scaling::step_model(
      std::make_shared<const scaling::Components>(scaling::fit_components(scaling::runs_that_count(runs))));
  const auto fit = scaling::fit_curve(scaling::curve_of_runs(runs), options);
  const auto page = budget::fit_of_runs(efficiencies, components);
  std::vector<std::string> notes;
  const auto basis = budget::scaling_basis(budget::load_scenario(kScenario, {"scaling.source=runs"}), efficiencies, 16,
                                           components, notes);
  REQUIRE(page);
  REQUIRE(basis);
  for (const scaling::Fit* one : {&fit, &*page, &basis->fit}) {
    std::vector<std::string> names;
    for (const auto& point : one->curve().points) names.push_back(point.run);
    CHECK(names == expected);
    CHECK(one->predict(32, 8).samples_per_s == fit.predict(32, 8).samples_per_s);
  }
  // The same as without the runs that do not count.
  std::vector<runlog::Run> best;
  for (const std::size_t i : {4u, 5u, 2u, 0u}) best.push_back(runs[i]);
  CHECK(scaling::curve_of_runs(best).points[1].samples_per_s == fit.curve().points[1].samples_per_s);
  CHECK_THAT(basis->source, contains("fit of 4 run logs (2 measured, 1 replayed, 1 simulated)"));
  CHECK(basis->tag == budget::Tag::simulated);
  CHECK(budget::pooled_mfu(efficiencies).inputs.size() == 4);
  // Runs of one kind stay as they were.
  CHECK(scaling::curve_of_runs({runs[4], runs[5], uneven_run(2, false, 7)}).points.size() == 3);
}

TEST_CASE("which kinds count is said, in text and JSON of fit and budget", "[reading][command]") {
  const tests::TemporaryFolder folder;
  std::string files;
  for (const auto& run : runs_of_all_kinds()) files += " " + write(folder, run, run.path);
  const std::string at = (folder.path() / "").string();
  const auto fit = json_of("fit --json" + files);
  REQUIRE(fit["curve"]["points"].size() == 4);
  const char* kinds[] = {"measured", "measured", "replayed", "simulated"};
  for (std::size_t i = 0; i < 4; ++i) CHECK(fit["curve"]["points"][i]["origin"] == kinds[i]);
  CHECK_THAT(fit["notes"].dump(), contains("simulated-4.h5 (simulated, for " + at + "replayed-4.h5)"));
  const auto text = run_command(kBinary + "fit" + files);
  CHECK_THAT(text.out, contains("replayed-2.h5 (replayed, for " + at + "measured-2.h5)"));
  CHECK_THAT(text.out, contains("1  simulated\n") && contains("1  replayed\n"));
  const std::string command = "budget " + kScenario + " --set scaling.source=runs --gpus 16 --runs" + files;
  const auto budget = json_of(command + " --json");
  CHECK_THAT(budget["notes"].dump(), contains("measured before replayed before simulated"));
  for (const auto& run : budget["runs"]) {
    const std::string path = run["path"], name = fs::path(path).stem();
    CHECK(name.starts_with(run["origin"].get<std::string>()));
    const bool counts = name != "simulated-2" && name != "simulated-4" && name != "replayed-2";
    CHECK(run.contains("superseded_by") == !counts);
    if (name == "simulated-4") CHECK(run["superseded_by"] == at + "replayed-4.h5");
  }
  for (const auto& rung : budget["rungs"])
    if (rung["id"] == "scaling") CHECK(rung.dump().find("simulated") != std::string::npos);
  const auto words = run_command(kBinary + command);
  INFO(words.err);
  const std::string unwrapped = std::regex_replace(words.out, std::regex("\\s+"), " ");
  CHECK_THAT(unwrapped, contains("2 measured, 1 replayed, 1 simulated"));
}

TEST_CASE("measured on one device, simulated on another: no curve for fit, the measured one for a budget",
          "[reading]") {
  std::vector<runlog::Run> runs;
  for (const int ranks : {4, 8, 16, 32}) {
    runs.push_back(run_of_kind(runlog::Origin::simulated, ranks, 1));
    runs.back().info.device_name = "Other CPU";
  }
  for (const int ranks : {1, 2}) runs.push_back(run_of_kind(runlog::Origin::measured, ranks, 1));
  CHECK_THROWS_WITH(scaling::curve_of_runs(runs), contains("the device is 'Other CPU' in one and 'Some CPU'"));
  std::vector<budget::Efficiency> efficiencies;
  for (const auto& run : runs) efficiencies.push_back(budget::efficiency_of(run));
  std::vector<std::string> notes;
  const auto scenario = budget::load_scenario(kScenario, {"scaling.source=runs"});
  const auto basis = budget::scaling_basis(scenario, efficiencies, 16, nullptr, notes);
  REQUIRE(basis);
  CHECK(basis->fit.curve().points.back().run == "measured-2.h5");
  CHECK(basis->tag == budget::Tag::fitted);
  REQUIRE(notes.size() == 1);
  CHECK_THAT(notes[0],
             contains("of 2 curves that of measured-1.h5 (measured on the Some CPU) is taken, measured before") &&
                 contains("not that of simulated-4.h5 (4 simulated on the Other CPU)"));
  CHECK_THAT(fmt::format("{}", fmt::join(budget::reading_notes(efficiencies), "; ")), contains("are on 2 curves"));
  // The same ranks on another device supersede nothing.
  auto other = run_of_kind(runlog::Origin::simulated, 2, 1);
  other.info.device_name = "Other CPU";
  CHECK(budget::superseding({budget::efficiency_of(other), efficiencies.back()}) == budget::Runs{nullptr, nullptr});
  // One measured rank count says nothing about scaling: the simulated curve it is.
  notes.clear();
  efficiencies.pop_back();
  const auto simulated = budget::scaling_basis(scenario, efficiencies, 16, nullptr, notes);
  REQUIRE(simulated);
  CHECK(simulated->tag == budget::Tag::simulated);
  CHECK(simulated->fit.curve().points.back().run == "simulated-32.h5");
}

TEST_CASE("the parts of a step are those of the mean step, in report, compare and fit", "[reading]") {
  const auto run = uneven_run(2);
  const auto e = budget::efficiency_of(run);
  double total = 0;
  for (const auto& part : report::mean_step(e)) total += part.seconds;
  CHECK(total == Approx(e.summary.mean.step_time_s));
  const auto measured = scaling::measure({&run, 1}, runlog::summarize(run));
  REQUIRE(measured);
  total = 0;
  for (const double share : *measured->shares) total += share;
  CHECK(total == Approx(e.summary.mean.step_time_s));
  CHECK(measured->samples_per_s * total == Approx(e.summary.batch()));
  const auto components = scaling::fit_components({run});
  REQUIRE(components.runs.size() == 1);
  CHECK(components.runs[0].step_s == Approx(e.summary.mean.step_time_s));
}

TEST_CASE("fewer than four steady steps have no interval, in text and JSON, and a note", "[reading]") {
  for (int steady = 1; steady <= 5; ++steady) {
    auto run = tests::make_run(0.4, 1, 3 + steady);
    run.steps.back().step_time_s *= 1.5;
    const auto e = budget::efficiency_of(run);
    CHECK(e.has_mfu());
    CHECK(e.has_interval() == (steady >= 4));
    CHECK(std::isfinite(e.mfu_low) == (steady >= 4));
    const auto b = budget::make_budget(tests::sora(), {e});
    const auto json = nlohmann::json::parse(budget::to_json_text(b));
    CHECK(json["runs"][0].contains("mfu"));
    CHECK(json["runs"][0].contains("mfu_low") == (steady >= 4));
    CHECK(json["runs"][0].contains("mfu_high") == (steady >= 4));
    const bool noted = json["notes"].dump().find("nothing is known of") != std::string::npos;
    CHECK(noted == (steady < 4));
    CHECK((budget::to_text(b).find("  n/a\n") != std::string::npos) == (steady < 4));
  }
}

TEST_CASE("logs that differ in what a step is are on no curve together, in any command", "[reading][command]") {
  const auto base = uneven_run(1);
  const auto changed = [](auto change) {
    auto run = uneven_run(2);
    change(run);
    return run;
  };
  struct Case {
    const char* what;
    runlog::Run other;
    bool is_model;
  };
  const std::vector<Case> cases = {
      {"tokens in a sample", changed([](auto& r) {
         for (auto& s : r.steps) s.tokens /= 4;
       }),
       true},
      {"number of parameters", changed([](auto& r) { r.info.parameters += 1; }), true},
      {"model.depth", changed([](auto& r) { r.info.config_toml = "[model]\ndepth = 24\n[run]\ndepth = 12\n"; }), true},
      {"the model", changed([](auto& r) { r.info.model_name = "dit-b-2"; }), false},
      {"compute type", changed([](auto& r) { r.info.dtype = "bf16"; }), false},
      {"device", changed([](auto& r) { r.info.device_name = "Other CPU"; }), false},
      {"threads per rank", changed([](auto& r) { r.info.threads_per_rank = 2; }), false}};
  for (const auto& c : cases) {
    INFO(c.what);
    CHECK_THROWS_WITH(scaling::curve_of_runs({base, c.other}),
                      contains(c.what) && contains("run-1.h5") && contains("run-2.h5"));
    const std::vector<budget::Efficiency> both = {budget::efficiency_of(base), budget::efficiency_of(c.other)};
    CHECK_FALSE(budget::fit_of_runs(both, nullptr));
    CHECK(report::throughput_figure(both).empty());
    CHECK(report::efficiency_figure(both).empty());
    CHECK(scaling::group_runs({base, c.other}).size() == 2);
    if (c.is_model)
      CHECK_THROWS_WITH(budget::make_budget(tests::sora(), both), contains(c.what) && contains("run-2.h5"));
    else
      CHECK_NOTHROW(budget::make_budget(tests::sora({"scaling.curve="}), both));
    const tests::TemporaryFolder folder;
    write(folder, base, "n1.h5");
    write(folder, c.other, "n2.h5");
    CHECK_THROWS_WITH(scaling::read_run_set(folder.path().string()),
                      contains(c.what) && contains("n1.h5") && contains("n2.h5"));
  }
  const std::vector<budget::Efficiency> same = {budget::efficiency_of(base), budget::efficiency_of(uneven_run(2))};
  CHECK(budget::fit_of_runs(same, nullptr));
  CHECK_FALSE(report::throughput_figure(same).empty());
}

TEST_CASE("a log with one number that no run has is refused by every command", "[reading][command]") {
  const tests::TemporaryFolder folder;
  const std::string one = write(folder, uneven_run(1), "n1.h5"), two = write(folder, uneven_run(2), "n2.h5");
  runlog::samples::Changed(two).element("/steps/forward_s", 50, INFINITY);
  const std::string page = (folder.path() / "r.html").string(), both = one + " " + two;
  for (const std::string& arguments : {"fit " + both, "compare " + one + " " + two, "report -o " + page + " " + both,
                                       "budget " + kScenario + " --runs " + both})
    CHECK_THAT(error_of(arguments), contains("n2.h5: /steps/forward_s of step 51 is not a finite number"));
  CHECK_FALSE(fs::exists(page));
}

TEST_CASE("a run far above its peak has no MFU", "[reading]") {
  auto run = uneven_run(1);
  run.info.gemm_peak_flops_per_s = 1e9;  // a thousandth of what it reaches
  const auto e = budget::efficiency_of(run);
  CHECK_FALSE(e.has_mfu());
  CHECK(std::isnan(e.mfu));
  CHECK_THAT(e.why_unknown, contains("times the peak"));
}

TEST_CASE("runs that are not on the budget's curve are said", "[reading]") {
  std::vector<budget::Efficiency> runs;
  for (const int ranks : {1, 2, 4}) runs.push_back(budget::efficiency_of(uneven_run(ranks)));
  auto other = uneven_run(8);
  other.info.dtype = "bf16";
  runs.push_back(budget::efficiency_of(other));
  const auto b = budget::make_budget(tests::sora({"scaling.source=runs"}), runs);
  REQUIRE(b.basis);
  CHECK(b.basis->is_of_runs);
  CHECK(b.basis->fit.curve().points.size() == 3);
  CHECK(std::any_of(b.notes.begin(), b.notes.end(), [](const std::string& note) {
    return note.find("the runs are on 2 curves, not on one: run-1.h5 and run-8.h5") != std::string::npos &&
           note.find("the compute type is 'fp32' in one and 'bf16' in the other") != std::string::npos;
  }));
}

TEST_CASE("a folder in the place of its run log, and a table without --csv, are told apart from damaged files") {
  const tests::TemporaryFolder folder;
  const std::string log = write(folder, uneven_run(1), "run.h5");
  CHECK_THROWS_WITH(scaling::read_run_logs({folder.path().string()}), contains("a folder; its run log is " + log));
  const auto table = tests::run_command(std::string(GPUMONTH_BINARY) + " fit " +
                                        folder.write("c.csv", "ranks,samples_per_s\n1,2\n").string());
  CHECK(table.exit_code == 2);
  CHECK_THAT(table.err, contains("gpumonth fit --csv "));
}

TEST_CASE("a log that is named twice counts once: by path, link, copy, or earlier copy", "[reading][command]") {
  const tests::TemporaryFolder folder;
  const std::string one = write(folder, uneven_run(1), "n1.h5"), two = write(folder, uneven_run(2), "n2.h5"),
                    again = write(folder, uneven_run(2, false, 9), "n2-repeat.h5");
  auto shorter = uneven_run(2);
  shorter.steps.resize(50);
  shorter.rank_steps.clear();
  shorter.rank_step_time_s.clear();
  const std::string part = write(folder, shorter, "part.h5");
  const std::string symbolic = (folder.path() / "link.h5").string(), hard = (folder.path() / "hard.h5").string(),
                    copy = (folder.path() / "copy.h5").string();
  fs::create_symlink(one, symbolic);
  fs::create_hard_link(two, hard);
  fs::copy_file(one, copy);
  for (const std::string& duplicate : {one, symbolic, copy, hard, part}) {
    INFO(duplicate);
    const auto logs = scaling::read_run_logs({one, two, again, duplicate});
    CHECK(logs.runs.size() == 3);
    REQUIRE(logs.notes.size() == 1);
    CHECK_THAT(logs.notes[0], contains(duplicate) && contains("counts once"));
  }
  CHECK(scaling::read_run_logs({one, two, again}).notes.empty());  // a repeat is no copy
  const std::string once = one + " " + two + " " + again,
                    twice = once + " " + once + " " + symbolic + " " + hard + " " + copy;
  const auto plain = json_of("fit --json --predict 16 " + once), doubled = json_of("fit --json --predict 16 " + twice);
  CHECK(plain["predictions"] == doubled["predictions"]);
  CHECK_THAT(doubled["notes"].dump(), contains("counts once"));
  const auto set = scaling::read_run_set(folder.path().string());
  CHECK(set.runs.size() == 3);
  CHECK_THAT(set.notes.back(), contains("counts once"));
  CHECK(json_of("budget --json " + kScenario + " --runs " + twice)["runs"].size() == 3);
}

TEST_CASE("extreme numbers that a log may hold print no nan, inf or null", "[reading][command]") {
  const tests::TemporaryFolder folder;
  const auto extreme = [&](const char* name, auto change) {
    std::string files;
    for (const int ranks : {1, 2, 4}) {
      auto run = uneven_run(ranks);
      for (auto& s : run.steps) change(run.info, s);
      files += write(folder, run, fmt::format("{}{}.h5", name, ranks)) + " ";
    }
    return files;
  };
  const std::vector<std::string> sets = {
      extreme("fast",
              [](auto&, auto& s) { s.step_time_s = 1e-9, s.samples = 1'000'000'000'000, s.model_flops = 1e30; }),
      extreme("slow", [](auto&, auto& s) { s.step_time_s = 1e8, s.samples = 1, s.model_flops = 1; }),
      extreme("lost", [](auto&, auto& s) { s.loss = s.step % 2 ? 1.7e308 : -1.7e308, s.grad_norm = NAN; }),
      extreme("nameless", [](auto& i, auto& s) { i.model_name = i.dtype = i.device_name = "", s.loss = NAN; })};
  for (const auto& files : sets)
    for (const std::string& arguments :
         {"fit " + files, "fit --json " + files, "budget " + kScenario + " --runs " + files,
          "budget --json " + kScenario + " --runs " + files,
          "report --force -o " + (folder.path() / "r.html").string() + " " + files}) {
      INFO(arguments);
      const auto result = run_command(kBinary + arguments);
      INFO(result.err);
      CHECK((result.exit_code == 0 || result.exit_code == 2));
      std::string said = result.out + result.err;
      if (arguments.starts_with("report") && result.exit_code == 0) said += text_of(folder.path() / "r.html");
      std::transform(said.begin(), said.end(), said.begin(),
                     [](unsigned char c) { return std::isalnum(c) ? std::tolower(c) : ' '; });
      for (const char* word : {" nan ", " inf ", " null ", " 2147483648 ", " 9223372036854775808 "})
        CHECK(said.find(word) == std::string::npos);
    }
}

TEST_CASE("draws of blocks by sums are draws of blocks", "[reading]") {
  std::mt19937_64 random(5), same(5);
  std::vector<double> values;
  scaling::BlockSums sums(1);
  for (int i = 0; i < 1000; ++i) {
    values.push_back(std::ldexp(static_cast<double>(random() >> 11), -53));
    sums.add({&values.back(), 1});
  }
  same = random;
  for (const std::size_t block : {1UL, 7UL, 10UL, 999UL, 1000UL}) {
    double expected = 0;
    for (std::size_t drawn = 0; drawn < values.size();) {
      const std::size_t start = random() % values.size();
      for (std::size_t i = 0; i < block && drawn < values.size(); ++i, ++drawn)
        expected += values[(start + i) % values.size()];
    }
    CHECK(sums.draw(block, same)[0] == Approx(expected).epsilon(1e-11));
  }
}

TEST_CASE("a log of 10^6 steps costs seconds, a small page, and keeps its one spike", "[reading]") {
  constexpr int kSteps = 1'000'000, kRanks = 4;
  std::vector<runlog::Run> runs = {tests::make_run(0.4, kRanks, 4)};
  auto& run = runs.front();
  run.rank_steps.clear();
  run.rank_step_time_s.clear();
  std::mt19937_64 random(3);
  run.steps.assign(kSteps, runlog::StepRecord(run.steps.back()));
  for (int i = 0; i < kSteps; ++i) {
    auto& s = run.steps[static_cast<std::size_t>(i)];
    s.step = i + 1;
    s.step_time_s = 0.1 + 0.01 * static_cast<double>(random() >> 11) * 0x1p-53;
    s.loss = 0.5 + 0.1 * static_cast<double>(random() >> 11) * 0x1p-53;
    if (i % 10 == 0) {
      for (int b = 0; b < 4; ++b) run.buckets.push_back({s.step, b, 1 << 20, 0.03, 0.031, 0.04});
      run.rank_steps.push_back(s.step);
      for (int r = 0; r < kRanks; ++r)
        run.rank_step_time_s.push_back(0.09f + 1e-12f * static_cast<float>(random() >> 40));
    }
  }
  run.steps[423'456].loss = 3000;  // one step of a million
  const std::clock_t began = std::clock();
  const auto curve = scaling::curve_of_runs(runs);
  CHECK(scaling::fit_components(runs).why_unusable.empty());
  CHECK(scaling::measure(runs, runlog::summarize(runs)));
  const std::string page = report::report_html(runs, nullptr);
  const double cpu_s = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  INFO(cpu_s << " s");
  CHECK(cpu_s < 15);  // each of three commands under 5 s
  CHECK(page.size() < 1'000'000);
  const std::string loss = report::loss_figure(runs, scaling::group_runs(runs));
  const bool axis_reaches_the_spike = loss.find("1000<") != std::string::npos;  // the axis' label
  CHECK(axis_reaches_the_spike);
}
