#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using nlohmann::json;
using tests::contains;

namespace {

void check_no_unknown(const json& value, const std::string& where) {
  INFO(where);
  CHECK_FALSE(value.is_null());
  if (value.is_number_float()) CHECK(std::isfinite(value.get<double>()));
  if (value.is_structured())
    for (const auto& [key, child] : value.items()) check_no_unknown(child, where + "/" + key);
}

json budget_json(const budget::Scenario& scenario, const std::vector<budget::Efficiency>& runs = {}) {
  return json::parse(budget::to_json_text(budget::make_budget(scenario, runs)));
}

}  // namespace

TEST_CASE("the JSON keeps its contract", "[json]") {
  const json out = budget_json(tests::sora());
  const std::vector<std::string> ids = {"as-published", "flops-counted", "attention-counted", "data", "measured-mfu",
                                        "scaling",      "goodput"};
  REQUIRE(out.at("rungs").size() == ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(out["rungs"][i]["id"] == ids[i]);
    CHECK(out["rungs"][i]["low"].get<double>() < out["rungs"][i]["high"].get<double>());
    CHECK(out["rungs"][i]["draws"]["low"].get<double>() < out["rungs"][i]["draws"]["high"].get<double>());
    CHECK(out["rungs"][i].contains("replacement"));
    CHECK(out["rungs"][i].contains("replaces") == (i > 0));
  }
  CHECK(out["rungs"][0]["low"].get<double>() == Approx(4211).epsilon(1e-4));
  CHECK(out["inference"]["minutes_per_gpu_hour"]["value"].get<double>() == Approx(5.035).epsilon(1e-3));
  CHECK(out["demand"]["gpus"]["value"].get<double>() == Approx(124583).epsilon(1e-4));
  CHECK(out["rungs"][4]["interval"] == "ends of all ranges");
  CHECK(out["rungs"][6]["interval"] == "90 % of the draws");
  CHECK(out["rungs"][6]["median"].get<double>() > out["rungs"][6]["low"].get<double>());
  CHECK(out["rungs"][6]["median"].get<double>() < out["rungs"][6]["high"].get<double>());
  CHECK(out["rungs"][6]["draws"]["low"] == out["rungs"][6]["low"]);
  CHECK(out["rungs"][6]["draws"]["median"] == out["rungs"][6]["median"]);
  CHECK(out["most_important"].size() == 3);
  CHECK(out["variance"]["gpu_months"][0]["input"] == out["most_important"][0]);
  CHECK(out["notes"].is_array());
  check_no_unknown(out, "");
}

TEST_CASE("every number has a provenance whose inputs are listed with tag and source", "[json]") {
  const json out = budget_json(tests::sora(), {budget::efficiency_of(tests::make_run(0.4))});
  const std::set<std::string> tags = {"measured", "replayed", "published", "fitted", "simulated", "assumed"};
  for (const auto& [key, input] : out["inputs"].items()) {
    INFO(key);
    CHECK(tags.count(input["tag"].get<std::string>()) == 1);
    CHECK_FALSE(input["source"].get<std::string>().empty());
  }
  const auto check_number = [&](const json& number) {
    INFO(number.dump());
    CHECK(tags.count(number["provenance"]["tag"].get<std::string>()) == 1);
    for (const auto& input : number["provenance"]["inputs"]) CHECK(out["inputs"].contains(input.get<std::string>()));
  };
  for (const auto& rung : out["rungs"]) {
    check_number(rung);
    check_number(rung["compute"]);
  }
  for (const char* group : {"training", "inference", "outputs", "demand", "cost", "plan"})
    for (const auto& [key, number] : out[group].items()) check_number(number);
  CHECK(out["inputs"]["run run-1.h5"]["tag"] == "measured");
  CHECK(out["inputs"]["carried over"]["tag"] == "assumed");
  CHECK(out["runs"][0]["mfu"].get<double>() == Approx(0.4));
}

TEST_CASE("energy, clock and MFU at that clock stand beside MFU where the log has them", "[json]") {
  auto run = tests::make_run(0.4);
  run.info.peak_flops_per_s = 100e9;
  run.info.peak_sm_clock_mhz = 1830;
  for (auto& step : run.steps) {
    step.energy_j = 70;
    step.power_w = 700;
    step.sm_clock_mhz = 1500;
    step.clock_limit = 1;
  }
  const json out = budget_json(budget::load_scenario(tests::source_path("configs/scenarios/dit-xl-2-256.toml")),
                               {budget::efficiency_of(run), budget::efficiency_of(tests::make_run(0.3, 2))});
  check_no_unknown(out, "");
  const json& metered = out["runs"][0];
  CHECK(metered["mfu"].get<double>() == Approx(0.4));
  CHECK(metered["mfu_at_clock"].get<double>() == Approx(0.4 * 1830 / 1500));
  CHECK(metered["energy_per_step_j"].get<double>() == Approx(70));
  CHECK(metered["energy_per_sample_j"].get<double>() == Approx(70.0 / 8));
  CHECK(metered["power_w"].get<double>() == Approx(700));
  CHECK(metered["sm_clock_mhz"].get<double>() == Approx(1500));
  CHECK(metered["power_limited"].get<double>() == 1);
  CHECK(metered["heat_limited"].get<double>() == 0);
  for (const char* key : {"mfu_at_clock", "sm_clock_mhz", "energy_per_step_j", "power_limited"})
    CHECK_FALSE(out["runs"][1].contains(key));
}

TEST_CASE("what is unknown is left out and named", "[json]") {
  auto run = tests::make_run(0.4);
  run.info.gemm_peak_flops_per_s = NAN;
  const json out = budget_json(budget::load_scenario(tests::source_path("configs/scenarios/dit-xl-2-256.toml")),
                               {budget::efficiency_of(run), budget::efficiency_of(tests::make_run(0.3, 2))});
  check_no_unknown(out, "");
  CHECK_FALSE(out["runs"][0].contains("mfu"));
  CHECK(out["runs"][1].contains("mfu"));
  CHECK_FALSE(out.contains("demand"));
  const std::string notes = out["notes"].dump();
  CHECK_THAT(notes, contains("demand"));
  CHECK_THAT(notes, contains("mfu of run run-1.h5"));
}
