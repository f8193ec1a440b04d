// gpumonth import --mllog: logs in the form of those in mlcommons/training_results_v5.1 and v3.1, written by hand.
#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "exchange/mllog_curve.h"
#include "exchange/mllog_run.h"
#include "scaling/curve_csv.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::exchange;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;

namespace {

std::string line(const std::string& type, const std::string& key, const std::string& value,
                 const std::string& metadata = "", std::int64_t time_ms = 1759627494727) {
  return fmt::format(
      ":::MLLOG {{\"namespace\": \"\", \"time_ms\": {}, \"event_type\": \"{}\", \"key\": \"{}\", \"value\": {}, "
      "\"metadata\": {{\"file\": \"/workspace/flux/train.py\", \"lineno\": 135{}}}}}\n",
      time_ms, type, key, value, metadata);
}
std::string point(const std::string& key, const std::string& value) { return line("POINT_IN_TIME", key, value); }
std::string stats(const std::string& values) {
  return line("POINT_IN_TIME", "tracked_stats", "{" + values + "}", ", \"samples_count\": 262144");
}
std::string header(const std::string& benchmark, int batch) {
  return point("cache_clear", "true") + point("submission_benchmark", "\"" + benchmark + "\"") +
         point("submission_platform", "\"16xSUBMISSION_PLATFORM_PLACEHOLDER\"") +
         point("global_batch_size", fmt::to_string(batch)) + line("INTERVAL_START", "run_start", "null", "", 1'000'000);
}
std::string stop(const std::string& status = "success", std::int64_t time_ms = 1'100'000) {
  return line("INTERVAL_END", "run_stop", "null",
              ", \"step\": 64, \"samples_count\": 262144, \"status\": \"" + status + "\"", time_ms);
}

/// A FLUX.1 log of v5.1: a loss and a step time a block.
std::string flux_log(int batch, const std::vector<double>& step_s, const std::string& status = "success") {
  std::string text = header("flux1", batch);
  for (const double s : step_s)
    text += stats("\"train_loss\": 0.9") + stats(fmt::format("\"train_step_time\": {:.17g}", s));
  return text + stats("\"validation_time\": 5.9") + stop(status);
}

std::string error_of(const std::vector<std::string>& places, const MllogOptions& options = {}) {
  try {
    curve_of_mllogs(places, options);
  } catch (const UserError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "no error";
}

bool any_note(const scaling::ScalingCurve& curve, const std::string& part) {
  for (const auto& note : curve.notes)
    if (note.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("a submission's folders become the curve that the published table has") {
  const TemporaryFolder folder;
  scaling::ScalingCurve published;
  for (auto& curve : scaling::read_scaling_csv(std::string(GPUMONTH_SOURCE_DIR) + "/configs/published/scaling.csv"))
    if (curve.name == "mlperf_flux1_b200_v5.1_uflorida") published = std::move(curve);
  REQUIRE(published.points.size() == 5);
  std::vector<std::string> places;
  for (const auto& p : published.points) {
    const auto nodes = p.ranks / 8;
    const std::string system = fmt::format("hpg.dgxb200x8.n{}", nodes);
    const auto logs = folder.path() / "results" / system / "flux1";
    std::filesystem::create_directories(logs);
    std::filesystem::create_directories(folder.path() / "systems");
    folder.write("systems/" + system + ".json",
                 fmt::format("{{\"number_of_nodes\": \"{}\", \"accelerators_per_node\": \"8\"}}", nodes));
    const int batch = static_cast<int>(p.batch_per_rank * static_cast<double>(p.ranks));
    const double step_s = batch / p.samples_per_s;
    for (int i = 0; i < 2; ++i)
      folder.write(fmt::format("results/{}/flux1/result_{}.txt", system, i),
                   flux_log(batch, {1.2 * step_s, 0.99 * step_s, step_s, 1.01 * step_s}));
    places.push_back(logs.string());
  }
  const auto curve = curve_of_mllogs(places, {});
  CHECK(curve.name == "flux1");
  REQUIRE(curve.points.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(curve.points[i].ranks == published.points[i].ranks);
    CHECK(curve.points[i].batch_per_rank == published.points[i].batch_per_rank);
    CHECK(curve.points[i].samples_per_s == Approx(published.points[i].samples_per_s).epsilon(1e-12));
  }
  // and what is written is what fit reads
  const auto again = scaling::parse_scaling_csv(scaling::to_csv(curve), "curve.csv");
  REQUIRE(again.size() == 1);
  CHECK(again[0].points.size() == 5);
  CHECK(again[0].points[4].samples_per_s == Approx(6302.9));
}

TEST_CASE("blocks are pooled over runs, without each run's first; or each run is a point") {
  const TemporaryFolder folder;
  folder.write("a.txt", flux_log(1000, {9, 1, 2, 4}));
  folder.write("b.log", flux_log(1000, {9, 5, 8}));
  folder.write("c.csv", "no log");
  const auto pooled = curve_of_mllogs({"4:" + folder.path().string()}, {});
  REQUIRE(pooled.points.size() == 1);
  CHECK(pooled.points[0].samples_per_s == Approx(250));  // 1000, 500, 250, 200, 125
  CHECK(pooled.points[0].batch_per_rank == 250);
  CHECK_THAT(pooled.points[0].run, contains("(2 runs)"));
  const auto each = curve_of_mllogs({"4:" + folder.path().string()}, {.each_run = true});
  REQUIRE(each.points.size() == 2);
  CHECK(each.points[0].samples_per_s == Approx(500));
  CHECK(each.points[1].samples_per_s == Approx(162.5));
  CHECK_THAT(each.points[1].run, contains("b.log"));
}

TEST_CASE("a logged throughput is taken as it is, a run without any by its time") {
  const TemporaryFolder folder;
  // Stable Diffusion, v3.1: srun's prefix, throughput with loss in one line, blocks go on behind run_stop
  const auto diffusion = folder.write(
      "sd.txt", "12: " + header("stable_diffusion", 512) + stats("\"throughput\": 700.5, \"loss\": 0.4, \"lr\": 1e-4") +
                    stats("\"throughput\": 935.25") + stop() + stats("\"throughput\": 940.75"));
  const auto sd = curve_of_mllogs({"8:" + diffusion.string()}, {});
  CHECK(sd.points.at(0).samples_per_s == Approx(938));
  CHECK(any_note(sd, "throughput as logged"));
  const auto bare = folder.write("bare.txt", header("stable_diffusion", 512) + stop());
  const auto run_time = curve_of_mllogs({"8:" + bare.string()}, {});
  CHECK(run_time.points.at(0).samples_per_s == Approx(2621.44));  // 262144 in 100 s
  CHECK(any_note(run_time, "evaluations included"));
  CHECK(any_note(curve_of_mllogs({"8:" + bare.string(), "16:" + diffusion.string()}, {}), "different kinds"));
}

TEST_CASE("a throughput in tokens is said to be doubtful, and its unit can be given") {
  const TemporaryFolder folder;
  const auto log = folder.write("gpt3.txt", header("gpt3", 2048) + point("max_sequence_length", "2048") +
                                                stats("\"throughput\": 345645.4") + stop());
  CHECK(any_note(curve_of_mllogs({"512:" + log.string()}, {}), "--unit tokens/s"));
  const auto curve = curve_of_mllogs({"512:" + log.string()}, {.unit = "tokens/s"});
  CHECK_FALSE(any_note(curve, "--unit"));
  CHECK_THAT(scaling::to_csv(curve), contains("tokens/s"));
  const auto flux = folder.write("flux.txt", flux_log(512, {1, 1}));
  CHECK_THAT(error_of({"16:" + flux.string()}, {.unit = "tokens/s"}), contains("leave --unit out"));
}

TEST_CASE("the number of accelerators: from the log, the submission, or before the name") {
  const TemporaryFolder folder;
  const auto log = folder.write("result_0.txt", flux_log(512, {1, 1}));
  CHECK(read_mllog(log).ranks == 0);
  CHECK(read_mllog(folder.write("r.txt", point("number_of_ranks", "24"))).ranks == 24);
  CHECK(read_mllog(folder.write("n.txt", point("number_of_nodes", "3") + point("accelerators_per_node", "8"))).ranks ==
        24);
  CHECK_THAT(error_of({log.string()}), contains("16:" + log.string()));
  CHECK(curve_of_mllogs({"24:" + log.string()}, {}).points[0].ranks == 24);
  CHECK_THAT(error_of({"0:" + log.string()}), contains("no number of accelerators"));
  CHECK_THAT(error_of({"2.5:" + log.string()}), contains("no number of accelerators"));
}

TEST_CASE("runs that missed the target, torn lines and foreign files") {
  const TemporaryFolder folder;
  const auto good = "8:" + folder.write("good.txt", flux_log(512, {1, 1, 1})).string();
  const auto aborted = "8:" + folder.write("aborted.txt", flux_log(512, {9, 9, 9}, "aborted")).string();
  const auto curve = curve_of_mllogs({good, aborted}, {});
  CHECK(curve.points.at(0).samples_per_s == Approx(512));
  CHECK(any_note(curve, "1 of 2 runs did not reach the target"));
  CHECK_THAT(error_of({aborted}), contains("none of 1 logs says that its run was a success"));

  const auto torn = folder.write("torn.txt", flux_log(512, {1, 1}) + ":::MLLOG {\"namespace\": \"\", \"time\n");
  CHECK(read_mllog(torn).bad_lines == 1);
  CHECK(any_note(curve_of_mllogs({"8:" + torn.string()}, {}), "1 :::MLLOG lines hold no JSON"));

  CHECK_THAT(error_of({(folder.path() / "none.txt").string()}), contains("cannot be read"));
  CHECK_THAT(error_of({folder.write("text.txt", "hello\n").string()}), contains("has no line with :::MLLOG"));
  CHECK_THAT(error_of({folder.write("old.txt", ":::MLPv0.5.0 gnmt 1541 run_start\n").string()}), contains("v0.6"));
  CHECK_THAT(error_of({folder.write("junk.txt", ":::MLLOG [1]\n:::MLLOG {\"key\": 3}\n").string()}),
             contains("(2 with"));
  std::filesystem::create_directory(folder.path() / "empty");
  CHECK_THAT(error_of({(folder.path() / "empty").string()}), contains("no .txt and no .log"));
}

TEST_CASE("numbers that are none, and logs that do not belong together") {
  const TemporaryFolder folder;
  const auto with = [&](const std::string& text) {
    return error_of({"8:" + folder.write("bad.txt", header("flux1", 512) + text + stop()).string()});
  };
  for (const char* value : {"0", "-1", "\"fast\"", "null", "[1]"}) {
    INFO(value);
    // null stands for nothing: such a run goes by its time
    if (std::string(value) != "null")
      CHECK_THAT(with(stats(fmt::format("\"train_step_time\": {}", value))), contains("bad.txt"));
    CHECK_THAT(with(point("global_batch_size", value)), contains("global_batch_size"));
  }
  CHECK_THAT(with(point("global_batch_size", "2.5")), contains("whole number"));
  const auto flux = "8:" + folder.write("flux.txt", flux_log(512, {1, 1})).string();
  const auto bert = "8:" + folder.write("bert.txt", header("bert", 512) + stats("\"throughput\": 1") + stop()).string();
  CHECK_THAT(error_of({flux, bert}), contains("a curve is of one"));
  const auto no_batch = folder.write("nobatch.txt", stats("\"train_step_time\": 1") + stop());
  CHECK_THAT(error_of({"8:" + no_batch.string()}), contains("has no global_batch_size"));
  const auto no_speed =
      folder.write("nospeed.txt", point("global_batch_size", "8") +
                                      line("INTERVAL_END", "run_stop", "null", ", \"status\": \"success\""));
  CHECK_THAT(error_of({"8:" + no_speed.string()}), contains("neither train_step_time nor throughput"));
}
