// The four answers of the first screen: their order, and that they say what the JSON says.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/format.h"
#include "budget/budget.h"
#include "budget/inputs/memory_plan.h"
#include "report/report.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

budget::Budget sora_budget(const std::vector<std::string>& overrides = {}) {
  return budget::make_budget(tests::sora(overrides), {});
}

/// From this heading to the next.
std::string answer(const std::string& page, const std::string& heading) {
  const std::size_t begin = page.find("<h2>" + heading + "</h2>");
  REQUIRE(begin != std::string::npos);
  return page.substr(begin, page.find("<h2>", begin + 1) - begin);
}

/// The models of the `gpumonth train` commands in a text, in their order.
std::vector<model::ModelConfig> trained_models(std::string text) {
  std::vector<model::ModelConfig> models;
  constexpr std::string_view kTrain = "gpumonth train configs/runs/video.toml", kSet = "--set ";
  for (auto at = text.find(kTrain); at != std::string::npos;) {
    const auto next = std::min(text.find("gpumonth", at + kTrain.size()), text.size());
    std::vector<std::string> overrides;
    for (auto set = text.find(kSet, at); set < next; set = text.find(kSet, set + 1)) {
      const auto begin = set + kSet.size();
      const std::string key = text.substr(begin, text.find_first_of(" \n", begin) - begin);
      if (key.starts_with("model.")) overrides.push_back(key);
    }
    model::ModelConfig model;
    config::Table root;
    model::declare(root.table("model"), model);
    config::load_text(root, "[model]\nfrom = \"" + tests::source_path("configs/models/dit-tiny-video.toml") + "\"\n",
                      "video.toml", overrides);
    model::validate(model);
    models.push_back(model);
    at = text.find(kTrain, next);
  }
  return models;
}

constexpr const char* kHeadings[] = {"How much", "How sure", "What the public estimate says, and why this one differs",
                                     "What would make it surer"};

}  // namespace

TEST_CASE("how much, how sure, why it differs and what would make it surer come first, in this order", "[report]") {
  const std::vector<runlog::Run> runs = {tests::make_run(0.4, 1)};
  const auto b = budget::make_budget(tests::sora(), {budget::efficiency_of(runs[0])});
  const std::string page = report::report_html(runs, &b);
  std::size_t last = page.find("<header>");
  for (const char* heading : kHeadings) {
    INFO(heading);
    const std::size_t at = page.find("<h2>" + std::string(heading) + "</h2>");
    REQUIRE(at != std::string::npos);
    CHECK(at > last);
    CHECK(at < page.find("<svg"));
    last = at;
  }
  CHECK(last < page.find("From the published estimate to this one"));
}

TEST_CASE("the answers have the numbers of the JSON", "[report]") {
  const auto b = sora_budget();
  const std::string page = report::answer_section(b);
  const auto json = nlohmann::json::parse(budget::to_json_text(b));
  const auto& last = json["rungs"].back();
  const std::string much = answer(page, kHeadings[0]);
  CHECK_THAT(much, contains(">" + three_digits(last["median"]) + " <small>"));
  CHECK_THAT(much, contains(three_digits(last["low"]) + " – " + three_digits(last["high"])));
  CHECK_THAT(much, contains(three_digits(json["cost"]["days"]["low"])));
  CHECK_THAT(much, contains(money(json["cost"]["usd"]["high"])));

  const std::string sure = answer(page, kHeadings[1]);
  CHECK_THAT(sure, contains(three_digits(last["high"].get<double>() / last["low"].get<double>()) + " times the lower"));
  double assumed = 0, published = 0;
  const auto& shares = json["variance"]["gpu_months"];
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double share = shares[i]["share"];
    if (shares[i]["tag"] == "assumed") assumed += share;
    if (shares[i]["tag"] == "published") published += share;
    const std::string ends = three_digits(shares[i]["low"]) + " – " + three_digits(shares[i]["high"]);
    CHECK((sure.find(ends) != std::string::npos) == (i < 3));
  }
  for (const auto& [tag, share] : {std::pair{"assumed", assumed}, {"published", published}, {"measured", 0.0}})
    CHECK_THAT(sure.substr(sure.find("It rests on")),
               contains("tag " + std::string(tag) + "\">" + tag + "</i> ") &&
                   contains(", " + std::to_string(std::lround(100 * share)) + " % of the variance"));

  const std::string why = answer(page, kHeadings[2]);
  CHECK_THAT(why, contains("4,211 – 10,528"));
  for (std::size_t i = 1; i < b.rungs.size(); ++i) {
    const auto factor = b.rungs[i].factor_over(b.rungs[i - 1]);
    CHECK_THAT(why, contains("<b>× " + factor_text(factor.low, factor.high, " – ") + "</b> " + name(b.rungs[i].id)));
  }
  CHECK_THAT(answer(page, kHeadings[3]), contains("--set " + json["most_important"][0].get<std::string>() + "=VALUE"));
}

TEST_CASE("what a run can tell is asked of a run, the rest of those who plan the training", "[report]") {
  auto b = sora_budget();
  budget::InputShare decision, measured;
  decision.share.input = "training.data_factor";
  decision.share.first_order = 0.6;
  measured.share.input = "utilisation";
  measured.share.first_order = 0.3;
  b.months_shares = {decision, measured};
  const std::string both = answer(report::answer_section(b), kHeadings[3]);
  CHECK_THAT(both, contains("No run measures it") && contains("--set training.data_factor=VALUE") &&
                       contains("The first that a run measures is share of the peak"));
  b.months_shares = {measured, decision};
  const std::string run = answer(report::answer_section(b), kHeadings[3]);
  CHECK_THAT(run, contains("share of the peak") && contains("30 % of the variance") && contains("gpumonth train") &&
                      contains("--scenario " + b.scenario.path) && !contains("No run measures it"));
  b.months_shares = {decision};
  CHECK_THAT(answer(report::answer_section(b), kHeadings[3]), !contains("The first that a run measures"));
}

TEST_CASE("the command for the utilisation trains the scenario's blocks at two lengths that fit", "[report]") {
  auto b = sora_budget();
  budget::InputShare utilisation;
  utilisation.share.input = "utilisation";
  b.months_shares = {utilisation};
  const std::string text = answer(report::answer_section(b), kHeadings[3]);
  const auto models = trained_models(text);
  REQUIRE(models.size() == 2);
  for (const auto& model : models) {
    CHECK(model.hidden_size == 6144);
    CHECK(model.head_dim() == b.scenario.model.head_dim());
    CHECK(model.mlp_hidden() == b.scenario.model.mlp_hidden());
    CHECK(model.patch_volume() == b.scenario.model.patch_volume());
    CHECK(model.depth == 2);
    CHECK(budget::memory_need(model, {.sharding = "none"}, 1).total() < 0.9 * b.scenario.hardware.memory_gb * 1e9);
  }
  CHECK(models[1].tokens() >= 3 * models[0].tokens());
  CHECK_THAT(text, contains("run.dtype=bf16"));  // what layers are taken from

  b.scenario.model.frames = 1;  // an image model: the shorter one has half the edge
  const auto images = trained_models(answer(report::answer_section(b), kHeadings[3]));
  REQUIRE(images.size() == 2);
  CHECK(images[0].tokens() * 4 == images[1].tokens());

  // A model that is not counted cannot be trained here.
  b.scenario.inputs["training.flop_per_sample"] = {};
  CHECK_THAT(answer(report::answer_section(b), kHeadings[3]), contains("No run measures it") &&
                                                                  contains("--set utilisation.published_mfu=VALUE") &&
                                                                  !contains("gpumonth train"));
}

TEST_CASE("one rung, nothing that varies, no rung at all: the answers say so", "[report]") {
  auto b = sora_budget();
  b.rungs.resize(1);
  const std::string one = report::answer_section(b);
  CHECK_THAT(answer(one, kHeadings[0]), contains("above: the middle"));
  CHECK_THAT(answer(one, kHeadings[1]), contains("has no probability"));
  CHECK_THAT(answer(one, kHeadings[2]), contains("Nothing of it has been replaced") && !contains("<li>"));

  b.months_shares.clear();
  b.rungs[0].gpu_months.high = b.rungs[0].gpu_months.low;
  const std::string fixed = report::answer_section(b);
  CHECK_THAT(answer(fixed, kHeadings[1]), contains("No input has a range") && !contains("of the variance"));
  CHECK_THAT(answer(fixed, kHeadings[3]), contains("Nothing in it varies"));

  b.rungs.clear();
  CHECK(report::answer_section(b).empty());
}

TEST_CASE("without a budget there are no answers", "[report]") {
  const std::string page = report::report_html({tests::make_run(0.4, 1)}, nullptr);
  for (const char* heading : kHeadings) CHECK(page.find(heading) == std::string::npos);
}

TEST_CASE("a path and a title with markup stay text in the answers", "[report]") {
  auto b = sora_budget();
  b.scenario.path = "<b>x</b>.toml";
  b.scenario.hardware.name = "<i>H</i>";
  const std::string page = report::answer_section(b);
  CHECK(page.find("<b>x</b>") == std::string::npos);
  CHECK(page.find("<i>H</i>") == std::string::npos);
  CHECK_THAT(page, contains("&lt;b&gt;x&lt;/b&gt;.toml"));
}
