// Every number of a scenario and its device, at both ends of its declared range: a clean result, or one line.
#include <cctype>
#include <cmath>
#include <map>

#include "base/error.h"
#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

/// No word of a number that is none, and no integer that left its type.
void check_clean(const std::string& text) {
  for (const std::string bad : {"nan", "inf", "null", "2147483648", "9223372036854775808", "1844674407370955"})
    for (auto at = text.find(bad); at != std::string::npos; at = text.find(bad, at + 1)) {
      const bool inside_a_word =
          (at > 0 && is_letter(text[at - 1])) || (at + bad.size() < text.size() && is_letter(text[at + bad.size()]));
      INFO(text.substr(at < 120 ? 0 : at - 120, 240));
      CHECK(inside_a_word);
    }
}

/// "" where the budget came out; else what was said.
std::string outcome_of(const std::string& scenario, const std::string& override) {
  try {
    const auto budget = budget::make_budget(
        budget::load_scenario(tests::source_path("configs/scenarios/" + scenario + ".toml"), {override}), {});
    check_clean(to_text(budget));
    check_clean(to_json_text(budget));
    return "";
  } catch (const UserError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    check_clean(error.what());
    return error.what();
  }
}

std::string number_text(double value) { return fmt::format("{}", value); }

}  // namespace

TEST_CASE("every scenario key at the ends of its range gives a clean budget or one line", "[ends]") {
  for (const std::string scenario : {"sora-2024", "video-clip", "dit-xl-2-256"}) {
    const auto shipped = budget::load_scenario(tests::source_path("configs/scenarios/" + scenario + ".toml"));
    std::size_t clean = 0, tried = 0;
    for (const auto& key : budget::scenario_keys()) {
      CHECK(key.min < key.max);
      CHECK(std::isfinite(key.min));
      CHECK(key.max < 1e31);
    }
    for (const auto& [name, input] : shipped.inputs) {
      const auto* key = budget::scenario_key(name);
      if (key == nullptr) continue;  // the device and the model
      std::vector<std::string> values = {number_text(key->min), number_text(key->max)};
      if (key->min == 0) values.push_back(fmt::format("0..{}", input.number.high));
      for (const auto& value : values) {
        const std::string override = fmt::format("{}={}", name, value);
        INFO(scenario << " " << override);
        clean += outcome_of(scenario, override).empty() ? 1 : 0;
        ++tried;
      }
    }
    CHECK(clean > tried * 3 / 4);  // the ends are in range: most of them are budgets
  }
}

TEST_CASE("keys that a shipped scenario lacks, at their ends", "[ends]") {
  const auto shipped = budget::load_scenario(tests::source_path("configs/scenarios/dit-xl-2-256.toml"));
  for (const auto& key : budget::scenario_keys()) {
    if (shipped.has(key.key) || std::string_view(key.key).find('*') != std::string_view::npos) continue;
    for (const double value : {key.min, key.max}) {
      const std::string override = fmt::format("{}={}", key.key, value);
      INFO(override);
      outcome_of("dit-xl-2-256", override);
    }
  }
}

TEST_CASE("the device and the plan at the ends of their ranges", "[ends]") {
  for (const char* override :
       {"hardware.peak_flops_per_s=1e12", "hardware.peak_flops_per_s=2e17", "hardware.memory_gb=1",
        "hardware.memory_gb=5000", "hardware.memory_bandwidth_bytes_per_s=5e10",
        "hardware.memory_bandwidth_bytes_per_s=1e17", "hardware.power_w=20", "hardware.power_w=5e4",
        "plan.replica_gpus=1", "plan.replica_gpus=4096", "plan.batch_per_replica=1000000", "plan.memory_reserve=0",
        "plan.memory_reserve=0.9", "model.depth=16384", "model.hidden_size=1048576", "model.num_classes=16777216"}) {
    INFO(override);
    outcome_of("sora-2024", override);
  }
}

TEST_CASE("two ends at once", "[ends]") {
  CHECK(outcome_of("sora-2024", "goodput.failure_rate=0").empty());
  CHECK_THAT(outcome_of("sora-2024", "goodput.failure_rate=0.1"), contains("next to no step is made"));
  CHECK(outcome_of("sora-2024", "video.share=0..1").empty());
}

TEST_CASE("a share of clips of 0 leaves the published rungs out, one that may be 0 a factor", "[ends]") {
  const auto none = budget::make_budget(tests::sora({"video.share=0"}), {});
  CHECK(none.rungs.front().id == budget::RungId::attention_counted);
  CHECK_THAT(to_text(none), contains("as-published, flops-counted: left out"));
  const auto some = budget::make_budget(tests::sora({"video.share=0..0.5"}), {});
  CHECK(some.rungs.front().id == budget::RungId::as_published);
  CHECK_THAT(to_text(some), contains("x n/a .. 2 ") && contains("x n/a .. 6.42"));
}

/// Without base_batch and base_steps all compute is the published product.
TEST_CASE("a scenario whose only compute is a share of 0 has none, and says so", "[ends]") {
  const std::string clips = R"(
[model]
frames = 4
[video]
share = { value = 0, unit = "1", tag = "assumed", source = "test" }
)";
  std::string text = tests::small_scenario("value = 1", clips);
  const auto at = text.find("samples = ");
  text.replace(at, text.find('\n', at) - at,
               R"(base_operations = { value = 1e20, unit = "FLOP", tag = "assumed", source = "test" }
model_factor = { value = 2, unit = "1", tag = "assumed", source = "test" }
data_factor = { value = 2, unit = "1", tag = "assumed", source = "test" })");
  const tests::TemporaryFolder folder;
  const auto budget = budget::make_budget(budget::load_scenario(folder.write("s.toml", text)), {}, {.gpus = {8}});
  CHECK(budget.rungs.empty());
  check_clean(to_text(budget));
  check_clean(to_json_text(budget));
  CHECK_THAT(to_text(budget), contains("the publication counts"));
}

TEST_CASE("without failures nothing is lost but the other stops", "[ends]") {
  const auto budget = budget::make_budget(tests::sora({"goodput.failure_rate=0", "goodput.other_stops=0"}), {});
  CHECK(budget.rungs.back().factor.low == 1);
  CHECK(budget.rungs.back().factor.high == 1);
  CHECK_THAT(budget.rungs.back().replacement, contains("no failure"));
}

TEST_CASE("a number in another unit is refused with the one that was meant", "[ends]") {
  const std::map<std::string, std::string> slips = {
      {"hardware.peak_flops_per_s=989.4", "989.4 FLOP/s: did you mean 989.4e12?"},
      {"hardware.peak_flops_per_s=989.4e9", "did you mean 989.4e12?"},
      {"hardware.peak_flops_per_s=2250", "did you mean 2.25e15?"},
      {"hardware.peak_flops_per_s=989.4e15", "did you mean 989.4e12?"},
      {"hardware.memory_gb=80e9", "did you mean 80?"},
      {"hardware.memory_gb=81920", "did you mean 81.92?"},
      {"hardware.memory_gb=0.141", "did you mean 141?"},
      {"hardware.memory_bandwidth_bytes_per_s=3.35", "did you mean 3.35e12?"},
      {"hardware.memory_bandwidth_bytes_per_s=3350", "did you mean 3.35e12?"},
      {"hardware.power_w=0.7", "did you mean 700?"},
      {"hardware.power_w=700000", "did you mean 700?"},
      {"video.share=50", "did you mean 0.5?"},
      {"utilisation.published_mfu=48", "did you mean 0.48?"},
      {"utilisation.published_mfu=33..48", "did you mean 0.33?"},
      {"utilisation.published_mfu.value=48", "did you mean 0.48?"},
      {"goodput.other_stops=10", "did you mean 0.1?"},
      {"plan.memory_reserve=10", "did you mean 0.1?"},
      {"cost.price=250", "did you mean 2.5?"},
      {"cost.power=0.7", "did you mean 700?"},
      {"cost.pue=120", "did you mean 1.2?"},
      {"training.parameters=20", "did you mean 20e9?"},
      {"training.base_forward=524.6", "did you mean 524.6e9?"},
      {"time.days_per_month=720", "did you mean 30?"},
      {"goodput.checkpoint=120000", "did you mean 120?"},
      {"demand.utilisation=50", "did you mean 0.5?"}};
  for (const auto& [override, words] : slips) {
    INFO(override);
    CHECK_THROWS_WITH(tests::sora({override}), contains(words) && contains("--set " + override));
  }
}

TEST_CASE("GPUs come in whole numbers, and numbers without commas", "[ends]") {
  CHECK_THROWS_WITH(tests::sora({"cost.gpus=64.6"}), contains("a whole number is asked for, give 64 or 65"));
  CHECK_THROWS_WITH(tests::sora({"cost.gpus.value=64.6"}), contains("give 64 or 65"));
  CHECK_THROWS_WITH(tests::sora({"scaling.reference_gpus=7.5"}), contains("give 7 or 8"));
  CHECK_THROWS_WITH(tests::sora({"cost.gpus=1,024"}), contains("nothing between thousands"));
  CHECK_THROWS_WITH(tests::sora({"hardware.peak_flops_per_s=989,4e12"}), contains("nothing between thousands"));
  for (const char* value : {"nan", "inf", "1e400", "0x10", "", "-1"}) {
    INFO(value);
    CHECK_THROWS_AS(tests::sora({std::string("training.data_factor=") + value}), UserError);
  }
  const auto one = budget::make_budget(tests::sora(), {}, {.gpus = {1, 512}});
  CHECK_THAT(one.sweep[0].refused, contains(": take 8") && !contains("8 or 8"));
}
