// Every number of the public estimate, from the shipped scenario's factors alone.
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "base/format.h"
#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;
using tests::line;

namespace {

void check(const budget::Number& n, double low, double high, double tolerance) {
  CHECK(n.low == Approx(low).epsilon(tolerance));
  CHECK(n.high == Approx(high).epsilon(tolerance));
}

}  // namespace

TEST_CASE("the estimate of 2024 reproduces", "[sora]") {
  const auto b = budget::make_budget(tests::sora(), {});
  REQUIRE(b.rungs.size() == 7);
  check(b.rungs[0].compute, 1.08e25, 2.70e25, 1e-12);
  check(b.rungs[0].gpu_months, 4211, 10528, 1e-4);
  check(line(b, "training", "base_gpu_months"), 0.39, 0.39, 3e-3);
  check(line(b, "training", "base_gpu_days"), 11.7, 11.7, 3e-3);
  check(line(b, "training", "base_samples"), 7.68e8, 7.68e8, 1e-12);
  check(line(b, "training", "base_operations_check"), 1.2087e21, 1.2087e21, 1e-4);
  check(line(b, "inference", "image_flops"), 131e12, 131e12, 1e-12);
  check(line(b, "inference", "image_break_even"), 7.63e6, 7.63e6, 1e-3);
  check(line(b, "inference", "clip_step_flops"), 2.83e15, 2.83e15, 1e-3);
  check(line(b, "inference", "clip_flops"), 7.07e17, 7.07e17, 1e-3);
  check(line(b, "inference", "minutes_per_gpu_hour"), 5.04, 5.04, 2e-3);
  check(line(b, "inference", "clip_break_even_minutes"), 15.3e6, 38.2e6, 3e-3);
  check(line(b, "inference", "few_steps_minutes_per_gpu_hour"), 5.035 * 250 / 4, 5.035 * 250, 1e-3);
  check(line(b, "outputs", "llama2_70b"), 1.4e14, 1.4e14, 1e-12);
  check(line(b, "outputs", "gpt4"), 8.8e14, 8.8e14, 1e-12);
  check(line(b, "outputs", "clip"), 7.07e17, 7.07e17, 1e-3);
}

TEST_CASE("demand as printed and as the factors multiply", "[sora]") {
  const auto b = budget::make_budget(tests::sora(), {});
  check(line(b, "demand", "minutes_per_day"), 14.95e6, 14.95e6, 1e-12);
  check(line(b, "demand", "minutes_per_gpu_day"), 120, 120, 1e-12);
  check(line(b, "demand", "gpus"), 14.95e6 / 120, 14.95e6 / 120, 1e-12);
  check(line(b, "demand", "peak_gpus"), 8 * 14.95e6 / 120, 8 * 14.95e6 / 120, 1e-12);
  check(line(b, "demand", "printed_gpus"), 89e3, 89e3, 1e-12);
  check(line(b, "demand", "printed_gpus_x_peak"), 712e3, 712e3, 1e-12);
  check(line(b, "demand", "printed_peak_gpus"), 720e3, 720e3, 1e-12);
  check(line(b, "demand", "printed_minutes_per_day"), 10.7e6, 10.7e6, 3e-3);
  check(line(b, "demand", "printed_youtube_share"), 0.05, 0.05, 0.02);
}

TEST_CASE("the terminal shows them", "[sora]") {
  const auto sora = tests::sora();
  const auto b = budget::make_budget(sora, {});
  const std::string text = budget::to_text(b);
  CHECK_THAT(text, contains(fmt::format("{} .. {}", grouped(b.rungs[0].draws.low), grouped(b.rungs[0].draws.high))));
  for (const char* part : {"4,211", "10,528", "15.3 M", "38.2 M", "5.04 min per H100-hour", "7.6 M images", "89 k",
                           "124.6 k", "712 k", "720 k", "997 k"}) {
    CHECK_THAT(text, contains(part));
  }
  for (const char* part : {"scaling ", "goodput ", "data.overtraining (", "On 4096 GPUs: full sharding"})
    CHECK_THAT(text, contains(part));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK((line.size() <= 100 || line == sora.path));
  }
}

TEST_CASE("nothing is typed in: results follow the inputs", "[sora]") {
  const auto b = budget::make_budget(tests::sora({"inference.sampling_steps=25", "training.model_factor=60"}), {});
  check(line(b, "inference", "image_flops"), 131e11, 131e11, 1e-12);
  check(line(b, "inference", "minutes_per_gpu_hour"), 25.17, 25.17, 1e-3);
  check(line(b, "demand", "minutes_per_gpu_day"), 25 * 24, 25 * 24, 1e-12);
  check(b.rungs[0].gpu_months, 8422.6, 21056.5, 1e-4);
}

TEST_CASE("platforms and language models that nobody compiled in", "[sora]") {
  std::string lists = R"([[uploads]]
id = "loops"
name = "Loops"
video = { value = 1e6, unit = "min/day", tag = "assumed", source = "test" }
generated_share = { value = 0.25, unit = "1", tag = "assumed", source = "test" }
[[uploads]]
id = "pixelfed"
name = "Pixelfed"
images = { value = 1e5, unit = "image/day", tag = "assumed", source = "test" }
video = { value = 2e6, unit = "min/day", tag = "assumed", source = "test" }
generated_share = { value = 0.5, unit = "1", tag = "assumed", source = "test" }
[[uploads]]
id = "peertube"
video = { value = 4e6, unit = "min/day", tag = "assumed", source = "test" }
generated_share = { value = 0.1, unit = "1", tag = "assumed", source = "test" }
[[outputs]]
id = "olmo2-32b"
name = "OLMo 2 32B"
tokens = { value = 500, unit = "token", tag = "assumed", source = "test" }
parameters = { value = 32e9, unit = "parameter", tag = "assumed", source = "test" }
)";
  std::ifstream in(tests::source_path("configs/scenarios/sora-2024.toml"));
  std::string text{std::istreambuf_iterator<char>(in), {}};
  text.replace(text.find("[[outputs]]"), text.find("[demand]") - text.find("[[outputs]]"), lists);
  for (const std::string up = "\"../"; text.find(up) != std::string::npos;)
    text.replace(text.find(up), up.size(), "\"" + tests::source_path("configs/"));
  const tests::TemporaryFolder folder;
  const auto b = budget::make_budget(budget::load_scenario(folder.write("s.toml", text)), {});
  check(line(b, "outputs", "olmo2-32b"), 2 * 500 * 32e9, 2 * 500 * 32e9, 1e-12);
  check(line(b, "inference", "image_break_even_pixelfed_days"), 76.336, 76.336, 1e-4);
  const double minutes = 1e6 * 0.25 + 2e6 * 0.5 + 4e6 * 0.1;
  check(line(b, "demand", "minutes_per_day"), minutes, minutes, 1e-12);
  check(line(b, "demand", "gpus"), minutes / 120, minutes / 120, 1e-12);
  // The printed 89 k GPUs make 10.68 M minutes; what the first two leave of them is the last one's.
  const double left = (89e3 * 120 - 1e6 * 0.25 - 2e6 * 0.5) / 4e6;
  check(line(b, "demand", "printed_peertube_share"), left, left, 1e-12);
  const std::string shown = budget::to_text(b);
  for (const char* part : {"in days of Loops's uploads", "in days of peertube's uploads", "OLMo 2 32B, 500 tokens"})
    CHECK_THAT(shown, contains(part));
  CHECK_THAT(budget::to_json_text(b),
             contains("uploads.peertube.generated_share") && contains("(made - Loops's share - "
                                                                      "Pixelfed's share)"));
}

TEST_CASE("days, money and energy of the last rung", "[sora]") {
  const auto b = budget::make_budget(tests::sora({"cost.gpus=4200", "cost.price=2", "cost.power=1000"}), {});
  const auto& months = b.rungs.back().gpu_months;
  check(line(b, "cost", "days"), months.low * 30 / 4200, months.high * 30 / 4200, 1e-12);
  check(line(b, "cost", "usd"), months.low * 720 * 2, months.high * 720 * 2, 1e-12);
  check(line(b, "cost", "energy_mwh"), months.low * 0.72, months.high * 0.72, 1e-12);
}
