#include "budget/inputs/memory_plan.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using budget::MemoryPlan;
using tests::contains;

namespace {

constexpr double kGigabyte = 1e9;

const model::ModelConfig& sora_model() {
  static const model::ModelConfig model = tests::sora().model;
  return model;
}

}  // namespace

TEST_CASE("the state of a 20 B model by sharding", "[memory]") {
  // fp32 masters 4, bf16 copy 2, fp32 gradients 4, moments 8, EMA 4 bytes per parameter; the table's padding
  // is below 0.01 %. Parameters of a DiT: 18 h^2 per block and what is around them, 20.4 B here.
  const double h = 6144, L = 30, parameters = L * 18 * h * h;
  MemoryPlan plan{.sharding = "none", .recompute = "full", .replica_gpus = 8};
  CHECK(budget::memory_need(sora_model(), plan, 4096).state_bytes == Approx(22 * parameters).epsilon(0.01));
  plan.sharding = "optimizer";  // masters, copy and gradients stay whole
  CHECK(budget::memory_need(sora_model(), plan, 4096).state_bytes ==
        Approx((10 + 12.0 / 4096) * parameters).epsilon(0.01));
  // Of two blocks gradients and weights are whole, of these adaLN's third in fp32. So is what is no block: 3 h^2 with the
  // final layer's adaLN and the timestep's second product, and h x (256 + 1,001 labels + (2 + 6 L) biases + small ones).
  plan.sharding = "full";
  const double block = parameters / L, outer = 3 * h * h + h * (256 + 1001 + 2 + 6 * L + 48 + 5);
  CHECK(budget::memory_need(sora_model(), plan, 4096).state_bytes ==
        Approx(22.0 / 4096 * parameters + 2 * (4 + 2 * 2.0 / 3 + 4.0 / 3) * block + (4 + 4 + 2) * outer).epsilon(0.01));
}

TEST_CASE("the GPUs of a replica share the activations, and have their own tokens' qkv and outputs", "[memory]") {
  MemoryPlan one{.sharding = "full", .recompute = "full"}, eight = one;
  eight.replica_gpus = 8;
  const double own =
      23040.0 * 6144 * 2 * (2 + 6);  // the outputs of two blocks; q, k and v of one, and once more by rank
  const double whole = 4.0 * 6144 * (2 + 6 * 30 + 3);  // conditioning and modulations of the sample
  const double all = budget::memory_need(sora_model(), one, 512).activation_bytes - whole;
  CHECK(budget::memory_need(sora_model(), eight, 512).activation_bytes == Approx(all / 8 + whole + own));
}

TEST_CASE("memory and bytes of a plan are those of gpumonth flops", "[memory]") {
  const std::string model = std::string(GPUMONTH_SOURCE_DIR) + "/configs/models/dit-20b-video.toml";
  for (const auto& [plan, options] : std::vector<std::pair<MemoryPlan, std::string>>{
           {{.sharding = "full", .recompute = "linear", .replica_gpus = 8}, "--sharding full --sequence-parallel 8"},
           {{.sharding = "optimizer", .recompute = "full", .batch_per_replica = 3}, "--sharding optimizer --batch 3"},
           {{.sharding = "none"}, "--sharding none"}}) {
    const auto r = tests::run_command(fmt::format("{} flops {} --json --backend cuda --ranks 512 --recompute {} {}",
                                                  GPUMONTH_BINARY, model, plan.recompute, options));
    INFO(r.err);
    REQUIRE(r.exit_code == 0);
    const auto json = nlohmann::json::parse(r.out);
    CHECK(json["bytes_per_rank"]["total"].get<double>() == budget::memory_need(sora_model(), plan, 512).total());
    CHECK(json["bytes_per_rank"]["activations"].get<double>() ==
          budget::memory_need(sora_model(), plan, 512).activation_bytes);
    CHECK(json["sent_bytes_per_rank"]["total"] == sum(budget::sent_parts(sora_model(), plan, 512)));
  }
}

TEST_CASE("the plan's line in the ladder is that", "[memory]") {
  const auto b = budget::make_budget(tests::sora(), {});
  const MemoryPlan plan = tests::sora().plan;
  const auto need = budget::memory_need(sora_model(), plan, 4096);
  const std::string& text = find(b.rungs, budget::RungId::scaling)->replacement;
  CHECK_THAT(text, contains(fmt::format("{:.3g} GB of 80 GB per GPU (full sharding", need.total() / kGigabyte)) &&
                       contains(fmt::format(
                           "{:.3g} GB sent a step",
                           static_cast<double>(sum(budget::sent_parts(sora_model(), plan, 4096))) / kGigabyte)));
  const auto line = [&](const char* id) { return tests::line(b, "plan", id).low; };
  CHECK(line("state_gb") + line("activations_gb") == Approx(need.total() / kGigabyte));
  CHECK(line("sent_gb") == Approx(static_cast<double>(sum(budget::sent_parts(sora_model(), plan, 4096))) / kGigabyte));
}

TEST_CASE("the smallest plan that fits fits, and nothing smaller does", "[memory]") {
  const double bytes = 80 * kGigabyte;
  const MemoryPlan asked{.sharding = "none"};
  const auto plan = budget::fitting_plan(sora_model(), asked, 4096, bytes);
  REQUIRE(plan.has_value());
  const double room = bytes * (1 - plan->memory_reserve);
  CHECK(budget::memory_need(sora_model(), *plan, 4096).total() <= room);
  CHECK(plan->sharding == "full");
  for (int change = 0; change < 3; ++change) {
    MemoryPlan less = *plan;
    if (change == 0) less.sharding = "optimizer";
    if (change == 1) less.replica_gpus /= 2;
    if (change == 2) less.recompute = plan->recompute == "full" ? "linear" : "none";
    if (change == 2 && plan->recompute == "none") continue;
    INFO(change);
    CHECK(budget::memory_need(sora_model(), less, 4096).total() > room);
  }
  CHECK_FALSE(budget::fitting_plan(sora_model(), asked, 4096, kGigabyte).has_value());
}

TEST_CASE("a plan that does not fit is refused with the smallest that does", "[memory]") {
  try {
    budget::make_budget(tests::sora({"plan.sharding=none", "plan.recompute=false", "plan.replica_gpus=1"}), {});
    FAIL("was not refused");
  } catch (const std::exception& error) {
    const std::string message = error.what();
    INFO(message);
    CHECK(message.find('\n') == std::string::npos);
    CHECK_THAT(message, contains("sora-2024.toml: the plan (no sharding, 1 sample per GPU) needs"));
    std::vector<std::string> overrides = {"plan.sharding=none", "plan.recompute=false", "plan.replica_gpus=1"};
    for (std::size_t at = message.find("--set "); at != std::string::npos; at = message.find("--set ", at + 1))
      overrides.push_back(message.substr(at + 6, message.find(' ', at + 6) - at - 6));
    CHECK(overrides.size() > 3);
    CHECK_NOTHROW(budget::make_budget(tests::sora(overrides), {}));
  }
  CHECK_THROWS_WITH(budget::make_budget(tests::sora({"hardware.memory_gb=2"}), {}),
                    contains("no plan with up to 64 GPUs"));
  CHECK_THROWS_WITH(budget::make_budget(tests::sora({"cost.gpus=4100"}), {}), contains("take 4096 or 4104"));
}

TEST_CASE("auto takes the least that fits", "[memory]") {
  const auto b =
      budget::make_budget(tests::sora({"plan.sharding=auto", "plan.recompute=false", "plan.replica_gpus=1"}), {});
  for (const auto& group : b.groups)
    if (group.id == "plan") CHECK_THAT(group.title, contains("full sharding"));
}

TEST_CASE("recompute of linear layers keeps attention's outputs", "[memory][recompute]") {
  MemoryPlan full{.sharding = "full", .recompute = "full", .replica_gpus = 8}, linear = full, none = full;
  linear.recompute = "linear";
  none.recompute = "none";
  const auto gigabytes = [](const MemoryPlan& plan) {
    return budget::memory_need(sora_model(), plan, 4096).activation_bytes / kGigabyte;
  };
  // Attention's output in bf16, of a share of the heads and of the own tokens, and 48 log-sum-exps in fp32 a token, of all
  // blocks instead of two, over 8 GPUs.
  CHECK(gigabytes(linear) - gigabytes(full) == Approx(28 * 184320.0 * (2 * 6144 * 2 + 48 * 4) / 8 / kGigabyte));
  CHECK(gigabytes(none) > 3 * gigabytes(linear));
}

TEST_CASE("recompute's old words keep working", "[memory][recompute]") {
  CHECK(tests::sora().plan.recompute == "linear");
  CHECK(tests::sora({"plan.recompute=true"}).plan.recompute == "full");
  CHECK(tests::sora({"plan.recompute=false"}).plan.recompute == "none");
  CHECK(tests::sora({"plan.recompute=none"}).plan.recompute == "none");
  CHECK_THROWS_WITH(tests::sora({"plan.recompute=liner"}), contains("did you mean 'linear'?"));
  CHECK_THROWS_WITH(tests::sora({"plan.recompute=1"}), contains("is not one of: none, linear, full"));
  const tests::TemporaryFolder folder;
  for (const auto& [word, meaning] : std::vector<std::pair<std::string, std::string>>{
           {"true", "full"}, {"false", "none"}, {"\"linear\"", "linear"}}) {
    const auto file =
        folder.write("s.toml", tests::small_scenario("value = 1e9", "[plan]\nrecompute = " + word + "\n"));
    CHECK(budget::load_scenario(file).plan.recompute == meaning);
  }
}
