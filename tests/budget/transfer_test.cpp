// What of a curve's loss is carried over: the rule by hand, stragglers as they are, unequal replicas.
#include "budget/plan/transfer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

const budget::Number* line(const budget::Budget& b, const std::string& id) { return tests::find_line(b, "plan", id); }

double median(const budget::Budget& b) { return b.rungs.back().draws.median; }

budget::Budget dit_xl(std::vector<std::string> overrides) {
  return budget::make_budget(
      budget::load_scenario(tests::source_path("configs/scenarios/dit-xl-2-256.toml"), overrides), {}, {.gpus = {64}});
}

}  // namespace

TEST_CASE("the rule is parameters per FLOP of a GPU's step, half to twice", "[transfer]") {
  // FLUX.1 on the curve: 11.9 B parameters, 32 images of 512 tokens; DiT-XL/2 here: 32 images of 6 x 118.64e9.
  const double curve = 11.9e9 / (32 * 6 * 11.9e9 * 512), here = 675e6 / (32 * 6 * 118.64e9);
  const auto b = dit_xl({});
  const auto* transfer = line(b, "scaling_transfer");
  REQUIRE(transfer != nullptr);
  CHECK(transfer->low == Approx(0.5 * here / curve).epsilon(0.01));
  CHECK(transfer->high == Approx(2 * here / curve).epsilon(0.01));
  CHECK(transfer->tag == budget::Tag::assumed);
  CHECK_THAT(find(b.rungs, budget::RungId::scaling)->replacement, contains("by parameters per FLOP"));
  CHECK_FALSE(budget::describe_input(b, budget::kTransferInput).source.empty());
}

TEST_CASE("where a curve's batch falls, its GPUs compute less and the ratio falls with it", "[transfer]") {
  // GPT-3 has 4 sequences a GPU on 512 GPUs and 0.5 on 4,096: eight times the parameters per FLOP.
  const auto few = budget::make_budget(tests::sora({"cost.gpus=512"}), {});
  const auto many = budget::make_budget(tests::sora({"cost.gpus=4096"}), {});
  CHECK(line(few, "scaling_transfer")->low / line(many, "scaling_transfer")->low == Approx(8).epsilon(0.01));
  CHECK(line(few, "scaling_transfer")->high < 1);  // a clip is a lot of work for the parameters that it exchanges
}

TEST_CASE("scaling.transfer goes before the rule", "[transfer]") {
  const auto b = dit_xl({"scaling.transfer=1.5"});
  CHECK(line(b, "scaling_transfer")->low == 1.5);
  CHECK(line(b, "scaling_transfer")->high == 1.5);
  CHECK_THAT(find(b.rungs, budget::RungId::scaling)->replacement, !contains("by parameters per FLOP"));
}

TEST_CASE("what waits for stragglers is carried over as it is, and no more than was lost", "[transfer]") {
  const std::vector<std::string> base = {"plan.imbalance=0", "cost.gpus=4096"};
  const auto with = [&](const char* transfer, const char* stragglers) {
    auto overrides = base;
    overrides.push_back(std::string("scaling.transfer=") + transfer);
    overrides.push_back(std::string("scaling.stragglers=") + stragglers);
    return *line(budget::make_budget(tests::sora(overrides), {}), "efficiency");
  };
  CHECK(with("0", "0").low == 1);
  // 3 % of a step on the curve is 3 % of 1 + lost of the reference's time, and loses as much here.
  const double curve = with("1", "0").low, lost = 1 / curve - 1;
  REQUIRE(lost > 0.03 * (1 + lost));
  CHECK(1 / with("0", "0.03").low - 1 == Approx(0.03 * (1 + lost)).epsilon(1e-4));
  CHECK(1 / with("0.5", "0.03").low - 1 == Approx(0.5 * lost + 0.5 * 0.03 * (1 + lost)).epsilon(1e-4));
  CHECK(with("0", "0.99").low == Approx(curve));
  CHECK(with("0", "0.99").high == Approx(with("1", "0").high));
}

TEST_CASE("replicas of unequal work take a step longer, where images and clips are mixed", "[transfer]") {
  const auto even = budget::make_budget(tests::sora({"plan.imbalance=0"}), {}),
             uneven = budget::make_budget(tests::sora({"plan.imbalance=0.25"}), {});
  CHECK(median(uneven) / median(even) == Approx(1.25));
  CHECK(line(uneven, "imbalance")->low == 0.25);
  CHECK_THAT(find(uneven.rungs, budget::RungId::scaling)->replacement, contains("unequal work"));
  const auto json = nlohmann::json::parse(budget::to_json_text(uneven));
  CHECK(json.at("plan").at("imbalance").at("value").get<double>() == 0.25);
  CHECK(json.at("inputs").contains("plan.imbalance"));
  CHECK_THROWS_WITH(tests::sora({"plan.imbalance=39"}), contains("did you mean 0.39?"));
}

TEST_CASE("clips alone, or a single replica, wait for nobody", "[transfer]") {
  const auto clips = budget::make_budget(tests::sora({"video.share=1"}), {});
  CHECK(line(clips, "imbalance") == nullptr);
  const auto file = tests::source_path("configs/scenarios/video-clip.toml");
  const auto one = [&](const char* imbalance) {
    return median(budget::make_budget(budget::load_scenario(file, {imbalance, "plan.replica_gpus=64"}), {}));
  };
  CHECK(one("plan.imbalance=0") == one("plan.imbalance=0.3"));
}

TEST_CASE("a curve without a batch cannot be described", "[transfer]") {
  const tests::TemporaryFolder folder;
  const auto csv = folder.write("c.csv", "ranks,samples_per_s\n8,100\n16,195\n32,380\n");
  CHECK_THROWS_WITH(dit_xl({"scaling.curve=" + csv.string(), "scaling.curve_name="}),
                    contains("has no batch per GPU") && contains("scaling.transfer"));
}
