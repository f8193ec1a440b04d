// What kernels allow on a clip of 184,320 tokens, against arithmetic by hand, and utilisations beyond it.
#include "budget/inputs/kernel_ceiling.h"

#include "budget/budget.h"
#include "budget/formulas/published_utilisation.h"
#include "budget/inputs/block_flops.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using tests::contains;

namespace {

const budget::LengthShares kClip = {{"clip", 1, 184320}};

double ceiling(const std::string& recompute) {
  const auto s = tests::sora();
  return budget::kernel_ceiling(s.hardware, s.model, recompute, kClip);
}

}  // namespace

TEST_CASE("the ceiling at a clip's length by recompute", "[ceiling]") {
  // Products 690, attention forward 648, backward 449 TFLOP/s; attention is five times the products here.
  const double seconds = 3 / 690. + 5 / 648. + 10 / 449.;
  CHECK(ceiling("none") == Approx(18 / seconds / 989.4).epsilon(1e-6));
  CHECK(ceiling("none") == Approx(0.530).margin(5e-4));
  CHECK(ceiling("linear") == Approx(0.510).margin(5e-4));
  CHECK(ceiling("full") == Approx(0.424).margin(5e-4));
}

TEST_CASE("recompute in FLOPs at a clip's length: 5 or 31 % more", "[ceiling][recompute]") {
  const auto s = tests::sora();
  CHECK(budget::recompute_overhead(s.model, "none", 184320) == 1);
  CHECK(budget::recompute_overhead(s.model, "linear", 184320) == Approx(1.05).margin(0.005));
  CHECK(budget::recompute_overhead(s.model, "full", 184320) == Approx(1.31).margin(0.005));
  for (const char* recompute : {"none", "linear", "full"}) {
    auto plan = s.plan;
    plan.recompute = recompute;
    CHECK(budget::plan_overhead(s, plan) ==
          Approx(budget::recompute_overhead(s.model, recompute, 184320)).epsilon(1e-3));
  }
}

TEST_CASE("a utilisation above what kernels can do is refused with the ceiling", "[ceiling]") {
  CHECK_NOTHROW(budget::make_budget(tests::sora({"training.data=article"}), {}));  // 48 % without, 51 % allowed
  CHECK_THROWS_WITH(
      budget::make_budget(tests::sora({"training.data=article", "utilisation.published_mfu=0.33..0.6"}), {}),
      contains("33 % .. 60 % is more than kernels can do") && contains("184,320 tokens") &&
          contains("recompute = \"linear\"") && contains("51.0 % of the H100 SXM's peak") &&
          contains("--set utilisation.published_mfu=0.33..0.5"));
  CHECK_THROWS_WITH(budget::make_budget(tests::sora({"training.data=article", "plan.recompute=full"}), {}),
                    contains("42.4 % of the H100 SXM's peak") && contains("plan.recompute = \"linear\""));
  CHECK_THROWS_WITH(budget::make_budget(tests::sora({"training.data=article", "utilisation.published_mfu=0.9"}), {}),
                    contains("51.0 %"));
  // A device whose file has no rates bounds nothing.
  const auto roomy = budget::load_scenario(tests::source_path("configs/scenarios/dit-xl-2-256.toml"),
                                           {"utilisation.published_mfu=0.99"});
  CHECK_NOTHROW(budget::make_budget(roomy, {}));
}

TEST_CASE("what was measured is not refused", "[ceiling]") {
  CHECK_NOTHROW(budget::make_budget(tests::sora({"training.data=article", "plan.recompute=full"}),
                                    {budget::efficiency_of(tests::make_run(0.6))}));
}

TEST_CASE("a published utilisation knows its length and its recompute", "[ceiling]") {
  const std::vector<std::string> plain = {"training.data=article", "utilisation.published_mfu=0.4"};
  CHECK(budget::utilisation_here(tests::sora(plain)).low == 0.4);
  // With full recompute 0.4 of the 42.4 % were reached; the same share of the 51.0 %.
  const auto full = budget::utilisation_here(
      tests::sora({"training.data=article", "utilisation.published_mfu=0.4", "utilisation.recompute=full"}));
  CHECK(full.low == Approx(0.4 * ceiling("linear") / ceiling("full")).epsilon(1e-3));
  CHECK(full.tag == budget::Tag::assumed);
  // At 8,192 tokens more is possible than on a clip.
  const auto at = budget::utilisation_here(tests::sora({"training.data=article", "utilisation.published_mfu=0.4",
                                                        "utilisation.tokens=8192", "utilisation.recompute=none"}));
  CHECK(at.low < 0.4 * 0.51 / 0.53);
  CHECK(at.low > 0.25);
  // 60 % are possible at 8,192 tokens, and nowhere near on a clip.
  const auto b = budget::make_budget(tests::sora({"training.data=article", "utilisation.published_mfu=0.5..0.6",
                                                  "utilisation.tokens=8192", "utilisation.recompute=none"}),
                                     {});
  const auto& rung = *find(b.rungs, budget::RungId::measured_mfu);
  CHECK(rung.utilisation.high < ceiling("linear"));
  CHECK(rung.gpu_months.low <= rung.draws.low * (1 + 1e-12));
  CHECK(rung.draws.high <= rung.gpu_months.high * (1 + 1e-12));
  CHECK_THROWS_WITH(tests::sora({"training.data=article", "utilisation.recompute=some"}), contains("is not one of"));
  CHECK_THROWS_WITH(tests::sora({"training.data=article", "utilisation.tokens=0"}), contains("utilisation.tokens"));
}

TEST_CASE("a recipe's range for its kind of device is cut at the ceiling", "[ceiling]") {
  auto s = tests::sora({"training.data=article", "utilisation.published_mfu=0.107..0.576"});
  s.inputs["disclosed.gpu_hours"] = s.inputs.at("cost.gpus");
  const auto b = budget::make_budget(s, {});
  const auto& rung = *find(b.rungs, budget::RungId::measured_mfu);
  CHECK(rung.utilisation.high == Approx(ceiling("linear")).epsilon(1e-3));
  CHECK(rung.utilisation.low == 0.107);
  CHECK(std::ranges::any_of(b.notes, [](const auto& note) { return note.find("is cut there") != note.npos; }));
}
