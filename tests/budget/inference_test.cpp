// Clips per GPU-hour as samplers work: guidance, share of the peak, decoder, steps in use; the published ones stay.
#include <nlohmann/json.hpp>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using nlohmann::json;
using tests::contains;

namespace {

json inference(const std::vector<std::string>& overrides) {
  return json::parse(budget::to_json_text(budget::make_budget(tests::sora(overrides), {}))).at("inference");
}

}  // namespace

TEST_CASE("a clip as it is sampled, by hand", "[inference]") {
  const json out = inference({"inference.steps=50", "inference.forwards_per_step=2", "inference.utilisation=0.4",
                              "inference.decode_share=0.05", "inference.multi_gpu_loss=0.2"});
  const double T = 184320, h = 6144, L = 30;  // the matrix products of blocks; the rest is below 1e-4
  const double macs = L * (12 * T * h * h + 2 * T * T * h);
  const double minutes = 1 * 989.4e12 * 0.4 * 3600 / (2 * macs * 50 * 2) / 1.05 / 1.2;
  CHECK(out.at("in_use_minutes_per_gpu_hour").at("low").get<double>() == Approx(minutes).epsilon(1e-3));
  CHECK(out.at("in_use_minutes_per_gpu_hour_median").at("value").get<double>() == Approx(minutes).epsilon(1e-3));
  // The article's 250 steps, five times as many.
  CHECK(out.at("sampled_minutes_per_gpu_hour").at("high").get<double>() == Approx(minutes / 5).epsilon(1e-3));
}

TEST_CASE("the article's minutes keep their digits beside it", "[inference]") {
  const json out = inference({});
  CHECK(out.at("minutes_per_gpu_hour").at("value").get<double>() == Approx(5.035).epsilon(1e-3));
  CHECK(out.at("counted_minutes_per_gpu_hour").at("value").get<double>() == Approx(0.474).epsilon(2e-3));
  const json& sampled = out.at("sampled_minutes_per_gpu_hour");
  // 250 steps with guidance at 28 .. 51 % of the peak, decoder and all: 0.06 .. 0.12.
  CHECK(sampled.at("low").get<double>() > 0.05);
  CHECK(sampled.at("high").get<double>() < 0.13);
  const json& in_use = out.at("in_use_minutes_per_gpu_hour");
  CHECK(in_use.at("low").get<double>() > sampled.at("high").get<double>());
  CHECK(in_use.at("low").get<double>() < in_use.at("high").get<double>());
  CHECK(in_use.at("provenance").at("inputs").dump().find("inference.forwards_per_step") != std::string::npos);
  CHECK_THAT(budget::to_text(budget::make_budget(tests::sora(), {})), contains("the steps in use today"));
}

TEST_CASE("without a utilisation nothing is said of it", "[inference]") {
  const auto b =
      budget::make_budget(budget::load_scenario(tests::source_path("configs/scenarios/video-clip.toml")), {});
  CHECK(budget::to_json_text(b).find("sampled_minutes_per_gpu_hour") == std::string::npos);
  CHECK_THROWS_WITH(tests::sora({"inference.utilisation=36"}), contains("did you mean 0.36?"));
  CHECK_THROWS_WITH(tests::sora({"inference.forwards_per_step=0"}), contains("out of range"));
}
