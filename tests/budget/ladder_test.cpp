// The rungs against arithmetic done here by hand.
#include "budget/ladder/ladder.h"

#include <cmath>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

constexpr double kH100Month = 989.4e12 * 30 * 86400;

/// Forward MACs of a DiT of depth 30 and width 6144 with patches of 2 x 2 x 4 values, T tokens.
double dit_20b_macs(double T) {
  const double L = 30, h = 6144;
  return L * (12 * T * h * h + 2 * T * T * h + 6 * h * h) + 2 * h * h + T * 16 * h + T * 32 * h + 256 * h + h * h;
}

}  // namespace

TEST_CASE("flops-counted doubles and nothing else", "[ladder]") {
  const auto b = budget::make_budget(tests::sora(), {});
  CHECK(b.rungs[1].id == budget::RungId::flops_counted);
  CHECK(b.rungs[1].gpu_months.low == Approx(2 * b.rungs[0].gpu_months.low));
  CHECK(b.rungs[1].gpu_months.high == Approx(2 * b.rungs[0].gpu_months.high));
  CHECK(b.rungs[1].inputs == std::vector<std::string>{"training.flops_per_operation"});
}

TEST_CASE("attention-counted counts clips of 184,320 tokens and images of 1,024", "[ladder]") {
  const auto b = budget::make_budget(tests::sora(), {});
  const double clip = 6 * dit_20b_macs(184320), image = 6 * dit_20b_macs(1024);
  const double per_sample = 0.5 * clip + 0.5 * image;
  CHECK(b.rungs[2].id == budget::RungId::attention_counted);
  CHECK(b.rungs[2].compute.low == Approx(7.68e8 * 4 * per_sample));
  CHECK(b.rungs[2].gpu_months.low == Approx(7.68e8 * 4 * per_sample / kH100Month));
  CHECK(b.rungs[2].gpu_months.high == Approx(7.68e8 * 10 * per_sample / kH100Month));
  CHECK(b.rungs[2].gpu_months.tag == budget::Tag::assumed);
  // The quadratic part is about five times the linear one.
  const double attention = 30 * 2.0 * 184320 * 184320 * 6144;
  CHECK(attention / (dit_20b_macs(184320) - attention) == Approx(5.0).epsilon(0.02));
}

TEST_CASE("a range of the video share moves both ends", "[ladder]") {
  const auto b = budget::make_budget(tests::sora({"video.share=0..1"}), {});
  CHECK(b.rungs[2].compute.low == Approx(7.68e8 * 4 * 6 * dit_20b_macs(1024)));
  CHECK(b.rungs[2].compute.high == Approx(7.68e8 * 10 * 6 * dit_20b_macs(184320)));
}

TEST_CASE("measured-mfu divides by the runs' MFU", "[ladder]") {
  const auto one = budget::efficiency_of(tests::make_run(0.4, 1)),
             two = budget::efficiency_of(tests::make_run(0.25, 2));
  const auto b = budget::make_budget(tests::sora(), {one, two});
  const auto& before = b.rungs[3].gpu_months;
  const auto& rung = b.rungs[4];
  CHECK(rung.id == budget::RungId::measured_mfu);
  CHECK(rung.gpu_months.low == Approx(before.low / 0.4));
  CHECK(rung.gpu_months.high == Approx(before.high / 0.25));
  CHECK_THAT(rung.replacement, contains("measured (run run-1.h5, run run-2.h5 on Some CPU)"));
  const auto three = budget::efficiency_of(tests::make_run(0.4, 4));
  CHECK_THAT(budget::make_budget(tests::sora(), {one, two, three}).rungs[4].replacement,
             contains("measured (3 run logs on Some CPU)"));
  CHECK_THAT(rung.replacement, contains("carried over to the H100 SXM's datasheet peak (assumed)"));
  CHECK(rung.gpu_months.tag == budget::Tag::assumed);
}

TEST_CASE("without runs the published utilisation stands in", "[ladder]") {
  const auto b = budget::make_budget(tests::sora(), {});
  CHECK(b.rungs[4].gpu_months.low == Approx(b.rungs[3].gpu_months.low / 0.48));
  CHECK(b.rungs[4].gpu_months.high == Approx(b.rungs[3].gpu_months.high / 0.33));
  CHECK(b.rungs[4].inputs == std::vector<std::string>{"utilisation.published_mfu"});
}

TEST_CASE("an H100's own MFU is not carried over", "[ladder]") {
  auto run = tests::make_run(0.4);
  run.info.backend = "cuda";
  run.info.device_name = "NVIDIA H100 80GB HBM3";
  run.info.peak_flops_per_s = 100e9;
  run.info.peak_source = "datasheet";
  const auto b = budget::make_budget(tests::sora(), {budget::efficiency_of(run)});
  CHECK(b.rungs[4].inputs == std::vector<std::string>{"run run-1.h5"});
  CHECK(b.rungs[4].replacement.find("carried over") == std::string::npos);
}

TEST_CASE("images alone: DiT-XL/2 at 256 px", "[ladder]") {
  const auto b =
      budget::make_budget(budget::load_scenario(tests::source_path("configs/scenarios/dit-xl-2-256.toml")), {});
  REQUIRE(b.rungs.size() == 6);
  CHECK(b.rungs[5].id == budget::RungId::goodput);
  CHECK(b.rungs[4].factor.low == Approx(1).epsilon(0.05));  // one node is where its utilisation holds
  const double a100_month = 312e12 * 30 * 86400;
  CHECK(b.rungs[0].gpu_months.low == Approx(6.38e20 / a100_month));
  // Counted: the published 118.64 GMACs, three times for training, two FLOP each.
  CHECK(b.rungs[2].compute.low == Approx(6 * 118.64e9 * 256 * 7e6).epsilon(1e-3));
  CHECK(b.rungs[2].compute.low == Approx(b.rungs[1].compute.low).epsilon(2e-3));
}

TEST_CASE("a scenario of one's own needs no published estimate", "[ladder]") {
  const tests::TemporaryFolder folder;
  const auto file =
      folder.write("own.toml", tests::small_scenario("value = 1e9", "[model]\ninput_size = 16\nframes = 4\n"));
  const auto b = budget::make_budget(budget::load_scenario(file), {});
  REQUIRE(b.rungs.size() == 2);
  CHECK(b.rungs[0].id == budget::RungId::attention_counted);
  CHECK(b.rungs[0].replaces.empty());
  CHECK(b.rungs[1].gpu_months.low == Approx(2 * b.rungs[0].gpu_months.low));
  REQUIRE(b.notes.size() >= 2);
  CHECK_THAT(b.notes[0], contains("as-published"));
  CHECK_THAT(b.notes[1], contains("flops-counted"));
}

TEST_CASE("every rung has 90 % of the same draws, within its ends", "[ladder]") {
  const std::vector<std::string> article{"training.data=article"};
  const auto b = budget::make_budget(tests::sora(article), {});
  for (const auto& rung : b.rungs) {
    INFO(name(rung.id));
    CHECK(rung.gpu_months.low <= rung.draws.low);
    CHECK(rung.draws.low < rung.draws.median);
    CHECK(rung.draws.median < rung.draws.high);
    CHECK(rung.draws.high <= rung.gpu_months.high);
  }
  // data_factor alone is uncertain on the first rungs: 90 % of it is its range. Latin hypercube: to a slice.
  CHECK(b.rungs[2].draws.low == Approx(b.rungs[2].gpu_months.low).epsilon(2e-4));
  CHECK(b.rungs[2].draws.high == Approx(b.rungs[2].gpu_months.high).epsilon(2e-4));
  CHECK(b.rungs[1].draws.low == 2 * b.rungs[0].draws.low);  // draw by draw
  // With the MFU two log-normal factors: their logarithms' spreads add as squares.
  const auto half_width = [](double low, double high) { return 0.5 * std::log(high / low); };
  CHECK(half_width(b.rungs[4].draws.low, b.rungs[4].draws.high) ==
        Approx(std::hypot(half_width(4, 10), half_width(0.33, 0.48))).epsilon(0.02));
  const auto other_gpus = budget::make_budget(tests::sora(article), {}, {.gpus = {512}});
  const auto no_gpus = budget::make_budget(tests::sora({"training.data=article", "cost.gpus=1000..2000"}), {});
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(other_gpus.rungs[i].draws.high == b.rungs[i].draws.high);
    CHECK(no_gpus.rungs[i].draws.high == b.rungs[i].draws.high);
  }
}

TEST_CASE("a formula gives the same for the ends and for a draw at the ends", "[ladder]") {
  const auto s = tests::sora({"video.share=0.2..0.9", "training.model_factor=20..40"});
  budget::Sample ends{2, {}};
  for (const auto& [key, input] : s.inputs) {
    budget::Column both(2);
    both << input.number.low, input.number.high;
    ends.values[key] = both;
  }
  const budget::Inputs<budget::Number> numbers(s);
  const budget::Inputs<budget::Column> draws(s, ends);
  const auto check = [](const budget::Number& number, const budget::Column& column) {
    CHECK(number.low == column[0]);
    CHECK(number.high == column[1]);
  };
  check(published_compute(numbers), published_compute(draws));
  check(published_flops(numbers), published_flops(draws));
  check(counted_compute(numbers), counted_compute(draws));
  check(gpu_months(numbers, counted_compute(numbers), budget::exactly(0.5)),
        gpu_months(draws, counted_compute(draws), draws.constant(0.5)));
  CHECK(counted_compute(numbers).unit == "FLOP");
}
