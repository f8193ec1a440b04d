// Tokens by law and curricula against closed forms and sums done here by hand.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using budget::RungId;
using tests::contains;

namespace {

constexpr double kH100Month = 989.4e12 * 30 * 86400;

std::string published(const std::string& file) { return tests::source_path("configs/published/" + file); }

/// Training FLOP of a sample of T tokens of the Sora scenario's model, depth 30 and width 6144, patches of 16 and 32 values.
double flops(double T) {
  const double L = 30, h = 6144;
  return 6 * (L * (12 * T * h * h + 2 * T * T * h + 6 * h * h) + 2 * h * h + T * 48 * h + 256 * h + h * h);
}

std::string stages(const std::string& share_of, const std::string& list) {
  return "title = \"test\"\ntag = \"assumed\"\nsource = \"test\"\nshare_of = \"" + share_of + "\"\n" + list;
}

std::string stage(const std::string& id, int width, int frames, double share) {
  return fmt::format("[[stages]]\nid = \"{}\"\nwidth = {}\nheight = {}\nframes = {}\nshare = {}\n", id, width, width,
                     frames, share);
}

std::string with_curriculum(const tests::TemporaryFolder& folder, const std::string& text) {
  return "data.curriculum=" + folder.write("c.toml", text).string();
}

std::string law_without(const std::string& key) {
  std::string text = "[[laws]]\nid = \"x\"\ntag = \"assumed\"\nsource = \"test\"\n";
  for (const char* known : {"n_scale = 0.1", "n_exponent = 0.5", "d_scale = 3", "d_exponent = 0.5"})
    if (!std::string(known).starts_with(key)) text += std::string(known) + "\n";
  return text;
}

const budget::Rung& rung(const budget::Budget& b, RungId id) {
  const auto* found = find(b.rungs, id);
  if (found == nullptr) FAIL("no rung " << name(id));
  return *found;
}

}  // namespace

TEST_CASE("the published laws at 20 B parameters", "[data]") {
  const auto laws = budget::load_data_laws(published("data-laws.toml"));
  REQUIRE(laws.size() == 3);
  const double flop[] = {3.12e23, 1.25e23, 2.29e23}, tokens[] = {2.62e12, 1.03e12, 1.95e12};
  for (std::size_t i = 0; i < 3; ++i) {
    INFO(laws[i].name);
    CHECK(laws[i].optimal_flop(20e9) == Approx(flop[i]).epsilon(3e-3));
    CHECK(laws[i].optimal_tokens(20e9) == Approx(tokens[i]).epsilon(3e-3));
    // Each is about 6 N D, which its publication does not use to print it.
    CHECK(6 * 20e9 * laws[i].optimal_tokens(20e9) == Approx(laws[i].optimal_flop(20e9)).epsilon(0.03));
  }
  // There and back: the optimal model of that compute is the one asked about.
  CHECK(0.0009 * std::pow(laws[0].optimal_flop(20e9), 0.5681) == Approx(20e9));
}

TEST_CASE("optimal tokens go from the lowest law to the highest, at the scenario's size", "[data]") {
  const auto s = tests::sora();
  const auto& tokens = s.inputs.at("data.optimal_tokens");
  CHECK(tokens.number.low == Approx(1.03e12).epsilon(3e-3));
  CHECK(tokens.number.high == Approx(2.62e12).epsilon(3e-3));
  CHECK(tokens.distribution.shape == budget::DistributionShape::lognormal);
  CHECK(tokens.number.tag == budget::Tag::published);
  for (const char* part : {"Liang et al.: 2.62e12", "HunyuanVideo, images: 1.03e12", "arXiv 2410.08184"})
    CHECK_THAT(tokens.source, contains(part));
  const auto smaller = tests::sora({"training.parameters=7e9"});
  CHECK(smaller.at("data.optimal_tokens").low == Approx(3.15e11).epsilon(3e-3));  // there the video law is lowest
  CHECK(smaller.at("data.optimal_tokens").tag == budget::Tag::assumed);
  CHECK(tests::sora({"data.optimal_tokens=5e11"}).at("data.optimal_tokens").high == 5e11);
}

TEST_CASE("a curriculum's tokens and FLOP, by hand", "[data]") {
  const tests::TemporaryFolder folder;
  const std::string list = stage("images", 512, 1, 0.75) + stage("clips", 256, 80, 0.25);
  // An image of 512 px: (512 / 16)^2 = 1,024 tokens; a clip of 80 frames: 10 x (256 / 16)^2 = 2,560.
  SECTION("shares of tokens") {
    const auto s = tests::sora(
        {with_curriculum(folder, stages("tokens", list)), "data.optimal_tokens=1e12", "data.overtraining=2"});
    REQUIRE(s.curriculum);
    CHECK(s.curriculum->stages[0].tokens == 1024);
    CHECK(s.curriculum->stages[1].tokens == 2560);
    const double compute = 2e12 * (0.75 * flops(1024) / 1024 + 0.25 * flops(2560) / 2560);
    const auto b = budget::make_budget(s, {});
    CHECK(rung(b, RungId::data).compute.low == Approx(compute));
    CHECK(rung(b, RungId::data).compute.high == Approx(compute));
    CHECK(rung(b, RungId::data).gpu_months.low == Approx(compute / kH100Month));
    CHECK(law_samples(budget::Inputs<budget::Number>(s)).low == Approx(2e12 * (0.75 / 1024 + 0.25 / 2560)));
  }
  SECTION("shares of samples: a clip has 2.5 times an image's tokens") {
    const auto s = tests::sora({with_curriculum(folder, stages("samples", list))});
    CHECK(s.curriculum->stages[0].token_share == Approx(0.75 / (0.75 + 0.25 * 2.5)));
    CHECK(s.curriculum->samples_per_token() == Approx(1 / (0.75 * 1024 + 0.25 * 2560)));
  }
}

TEST_CASE("every shipped curriculum fits the Sora scenario's patches", "[data]") {
  for (const char* file : {"sora-2024", "seaweed-7b", "step-video-t2v", "many-for-many-8b", "open-sora-2"}) {
    INFO(file);
    const auto s = tests::sora({"data.curriculum=" + published("curricula/" + std::string(file) + ".toml")});
    double shares = 0;
    for (const auto& one : s.curriculum->stages) shares += one.token_share;
    CHECK(shares == Approx(1));
    // Between a token without attention and one of the longest clip.
    const double per_token = s.curriculum->training_flops_per_token(s.model);
    CHECK(per_token > 6 * 30 * 12.0 * 6144 * 6144);
    CHECK(per_token < flops(184320) / 184320);
  }
  const auto step = tests::sora({"data.curriculum=" + published("curricula/step-video-t2v.toml")});
  CHECK(step.curriculum->stages[2].tokens == 34 * 62 * 17);
}

TEST_CASE("the rung goes by law, and the rungs after it with it", "[data]") {
  const auto law = budget::make_budget(tests::sora(), {});
  const auto article = budget::make_budget(tests::sora({"training.data=article"}), {});
  REQUIRE(law.rungs.size() == 7);
  CHECK(law.rungs[3].id == RungId::data);
  CHECK(std::string(name(RungId::data)) == "data");
  // What the article multiplies stays as it was, digit by digit.
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(law.rungs[i].gpu_months.low == article.rungs[i].gpu_months.low);
    CHECK(law.rungs[i].gpu_months.high == article.rungs[i].gpu_months.high);
  }
  CHECK(article.rungs[3].gpu_months.low == article.rungs[2].gpu_months.low);
  CHECK(article.rungs[3].draws.median == article.rungs[2].draws.median);
  CHECK_THAT(article.rungs[3].replacement, contains("training.data = \"article\""));
  CHECK(law.rungs[4].compute.low == law.rungs[3].compute.low);
  CHECK(law.months_shares[0].share.input == "data.overtraining");
}

TEST_CASE("with everything of the data fixed the rules' ratio stays the same down to the last rung", "[data]") {
  std::vector<std::string> fixed = {"data.overtraining=4", "data.optimal_tokens=2e12", "training.data_factor=6",
                                    "batch.base=64",       "scaling.transfer=1",       "training.data=law"};
  const auto law = budget::make_budget(tests::sora(fixed), {});
  fixed.back() = "training.data=article";
  const auto article = budget::make_budget(tests::sora(fixed), {});
  const double ratio = article.rungs[3].compute.low / law.rungs[3].compute.low;
  CHECK(ratio > 100);
  for (const std::size_t i : {4, 5, 6})
    CHECK(article.rungs[i].draws.median / law.rungs[i].draws.median == Approx(ratio).epsilon(1e-9));
}

TEST_CASE("both rules stand side by side, whichever is chosen", "[data]") {
  const auto law = budget::make_budget(tests::sora(), {});
  const auto article = budget::make_budget(tests::sora({"training.data=article"}), {});
  REQUIRE(law.data);
  REQUIRE(article.data);
  CHECK(law.data->chosen == "law");
  CHECK(article.data->chosen == "article");
  CHECK(law.data->sides[1].gpu_months.median == law.rungs.back().draws.median);
  CHECK(law.data->sides[0].gpu_months.median == article.rungs.back().draws.median);
  CHECK(article.data->sides[1].gpu_months.high == law.rungs.back().draws.high);
  CHECK_THAT(law.data->why, contains("years of video"));
  const auto json = nlohmann::json::parse(budget::to_json_text(law));
  CHECK(json["data"]["rule"] == "law");
  CHECK(json["data"]["article"]["gpu_months"]["median"] == article.rungs.back().draws.median);
  CHECK_THAT(budget::to_text(law), contains("training.data = \"article\"") && contains("differ by a factor of"));
  const auto few = budget::make_budget(tests::sora({"cost.gpus=1000..2000"}), {});  // no training plan
  REQUIRE(few.data);
  CHECK(few.data->rung == "measured-mfu");
  CHECK(few.data->sides[1].gpu_months.median == few.rungs.back().draws.median);
}

TEST_CASE("a law needs no published estimate, and a scenario no law", "[data]") {
  const tests::TemporaryFolder folder;
  const std::string laws = "laws = \"" + published("data-laws.toml") + "\"\n";
  std::string text =
      tests::small_scenario("value = 1e9",
                            "[video]\nspatial_compression = { value = 8, unit = \"1\", tag = "
                            "\"assumed\", source = \"test\" }\n[data]\nfrom = \"" +
                                published("overtraining.toml") + "\"\n" + laws + "curriculum = \"c.toml\"\n");
  folder.write("c.toml", stages("tokens", stage("images", 256, 1, 1)));
  const auto at = text.find("samples = ");
  text.replace(at, text.find('\n', at) - at, "data = \"law\"");
  const auto b = budget::make_budget(budget::load_scenario(folder.write("s.toml", text)), {});
  REQUIRE(b.rungs.size() == 2);
  CHECK(b.rungs[0].id == RungId::data);
  CHECK_FALSE(b.data);  // the article's side is not known
  const auto clip =
      budget::make_budget(budget::load_scenario(tests::source_path("configs/scenarios/video-clip.toml")), {});
  CHECK(find(clip.rungs, RungId::data) == nullptr);
  for (const auto& note : clip.notes) CHECK_THAT(note, !contains("data: left out"));
}

TEST_CASE("a curriculum's mistakes get one line that says what to do", "[data]") {
  const tests::TemporaryFolder folder;
  const auto message = [&](const std::string& text) {
    try {
      tests::sora({with_curriculum(folder, text)});
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(message(stages("tokens", stage("a", 256, 1, 0.5) + stage("b", 256, 8, 0.4))),
             contains("add up to 0.9, not to 1"));
  CHECK_THAT(message(stages("tokens", stage("a", 256, 204, 1))),
             contains("frames = 204") && contains("give 200 or 208"));
  CHECK_THAT(message(stages("tokens", stage("a", 250, 8, 1))), contains("width = 250") && contains("give 240 or 256"));
  CHECK_THAT(message(stages("bytes", stage("a", 256, 8, 1))), contains("not one of: tokens, samples, steps"));
  CHECK_THAT(message("title = \"x\"\n" + stage("a", 256, 8, 1)), contains("has no tag"));
  CHECK_THAT(message(stages("tokens", "")), contains("has no [[stages]]"));
  CHECK_THAT(message(stages("tokens", stage("a", 65536, 800000, 1))), contains("too many to count"));
  CHECK_THROWS_WITH(tests::sora({"data.curriculum=none.toml"}), contains("no such file"));
}

TEST_CASE("a law that was fitted is read from the JSON that fit --loss writes, as from a file of published ones",
          "[data]") {
  const tests::TemporaryFolder folder;
  const std::string entry =
      R"("id": "fitted-law", "name": "fitted, \"L\"", "tag": "fitted", "source": "test", "n_scale": 0.0009,
         "n_exponent": 0.5681, "d_scale": 186.8535, "d_exponent": 0.4319)";
  const auto file = folder.write("law.json", "{\"runs\": [], \"laws\": [{" + entry + "}], \"notes\": []}");
  const auto laws = budget::load_data_laws(file);
  REQUIRE(laws.size() == 1);
  CHECK(laws[0].name == "fitted, \"L\"");
  CHECK(laws[0].optimal_tokens(20e9) ==
        Approx(budget::load_data_laws(published("data-laws.toml")).at(0).optimal_tokens(20e9)).epsilon(1e-12));
  const auto s = tests::sora({"data.laws=" + file.string(), "training.data=law"});
  CHECK(s.inputs.at("data.optimal_tokens").number.tag == budget::Tag::fitted);
  CHECK(s.inputs.at("data.optimal_tokens").number.low == Approx(2.62e12).epsilon(3e-3));
  CHECK(rung(budget::make_budget(s, {}), RungId::data).gpu_months.low > 0);
  const auto message = [&](const std::string& text) {
    try {
      budget::load_data_laws(folder.write("bad.json", text));
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(message("{\"checkpoints\": []}"), contains("is JSON without laws[]"));
  CHECK_THAT(message("{"), contains("is JSON without laws[]"));
  CHECK_THAT(message("{\"laws\": []}"), contains("has no [[laws]]"));
  CHECK_THAT(message("{\"laws\": [{\"id\": {}}]}"), contains("laws[].id is neither a text nor a number"));
  CHECK_THAT(message("{\"laws\": [3]}"), contains("bad.json"));
  CHECK_THAT(message("{\"laws\": [{\"id\": \"x\", \"n_scal\": 1}]}"), contains("did you mean"));
}

TEST_CASE("a law's mistakes get one line that says what to do", "[data]") {
  const tests::TemporaryFolder folder;
  for (const std::string key : {"n_scale", "n_exponent", "d_scale", "d_exponent"})
    CHECK_THROWS_WITH(budget::load_data_laws(folder.write("l.toml", law_without(key))), contains("has no " + key));
  CHECK(budget::load_data_laws(folder.write("l.toml", law_without("none"))).size() == 1);
  CHECK_THROWS_WITH(budget::load_data_laws(folder.write("l.toml", "")), contains("has no [[laws]]"));
  CHECK_THROWS_WITH(tests::sora({"training.data=laws"}), contains("did you mean 'law'?"));
  CHECK_THROWS_WITH(tests::sora({"data.curriculum="}), contains("training.data = \"law\" needs data.curriculum"));
  CHECK_THROWS_WITH(tests::sora({"data.laws="}), contains("needs data.laws"));
  CHECK_THROWS_WITH(tests::sora({"training.flop_per_sample=1e15"}), contains("needs a model that is counted"));
}
