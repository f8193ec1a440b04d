#include "budget/inputs/scenario.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

std::string message_of(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  const tests::TemporaryFolder folder;
  const auto file = folder.write("s.toml", toml);
  try {
    budget::load_scenario(file, overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

/// The shipped scenario as text, with `from` paths that hold anywhere and `line` put behind its [training].
std::string shipped(const std::string& from = "", const std::string& to = "") {
  std::ifstream in(tests::source_path("configs/scenarios/sora-2024.toml"));
  std::stringstream stream;
  stream << in.rdbuf();
  std::string text = stream.str();
  for (const std::string up = "\"../"; text.find(up) != std::string::npos;)
    text.replace(text.find(up), up.size(), fmt::format("\"{}", tests::source_path("configs/")));
  if (!from.empty()) {
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
  }
  return text;
}

}  // namespace

TEST_CASE("the shipped scenarios load, every number with unit, tag and source", "[scenario]") {
  for (const char* file : {"sora-2024", "dit-xl-2-256", "video-clip"}) {
    const auto s = budget::load_scenario(tests::source_path(std::string("configs/scenarios/") + file + ".toml"));
    CHECK(s.inputs.size() > 8);
    for (const auto& [key, input] : s.inputs) {
      INFO(key);
      CHECK(input.number.known());
      CHECK_FALSE(input.number.unit.empty());
      CHECK_FALSE(input.source.empty());
      CHECK(input.number.inputs == std::vector<std::string>{key});
    }
  }
  CHECK(message_of(shipped()) == "no error");
}

TEST_CASE("one line changes an assumption", "[scenario]") {
  const auto s = tests::sora({"training.data_factor=3..6", "training.model_factor=20", "video.share.value=0.25"});
  CHECK(s.at("training.data_factor").low == 3);
  CHECK(s.at("training.data_factor").high == 6);
  CHECK(s.at("training.model_factor").high == 20);
  CHECK(s.at("video.share").low == 0.25);
  CHECK(s.at("training.model_factor").tag == budget::Tag::assumed);
  CHECK(s.inputs.at("video.share").source == "--set video.share.value=0.25");
  CHECK(s.at("training.base_batch").tag == budget::Tag::published);
  CHECK(tests::sora({"training.data_factor.low=5"}).at("training.data_factor").high == 10);
  CHECK(tests::sora({"training.data_factor.value=7"}).at("training.data_factor").low == 7);
  CHECK(tests::sora({"hardware.peak_flops_per_s=1e15"}).at("hardware.peak_flops_per_s").tag == budget::Tag::assumed);
}

TEST_CASE("latent frames follow from the clip", "[scenario]") {
  CHECK(tests::sora().model.frames == 180);
  CHECK(tests::sora().model.tokens() == 184320);
  CHECK(tests::sora({"video.clip_length=20"}).model.frames == 60);
  CHECK_THROWS_AS(tests::sora({"video.clip_length=0.1"}), UserError);
}

TEST_CASE("a scenario's mistakes get one clear line", "[scenario]") {
  CHECK_THAT(message_of(shipped("model_factor =", "model_facto =")), contains("training.model_factor"));
  CHECK_THAT(message_of(shipped("model_factor = {", "model_factor = { vlaue = 3,")), contains("value"));
  CHECK_THAT(message_of(shipped("value = 30, unit = \"1\"", "value = 30, unit = \"FLOP\"")), contains("unit"));
  CHECK_THAT(message_of(shipped("value = 30, unit = \"1\",", "value = 30,")), contains("has no unit"));
  CHECK_THAT(message_of(shipped("low = 4, high = 10", "low = 10, high = 4")), contains("swap"));
  CHECK_THAT(message_of(shipped("low = 4, high = 10", "low = 4")), contains("'low' and 'high'"));
  CHECK_THAT(message_of(shipped("low = 4, high = 10", "value = 7, low = 4, high = 10")),
             contains("a value and a range"));
  CHECK_THAT(message_of(shipped("tag = \"published\", source = \"the article: 20 B", "source = \"the article: 20 B")),
             contains("has no tag"));
  CHECK_THAT(message_of(shipped("value = 0.5, unit = \"1\", tag = \"published\", source = \"the article: half",
                                "value = 1.5, unit = \"1\", tag = \"published\", source = \"the article: half")),
             contains("video.share"));
  CHECK_THAT(message_of(shipped("large.toml\nfrom", "large.toml\n# from")),
             contains("utilisation.published_mfu is missing"));
  CHECK_THAT(message_of("title = \"x\"\n"), contains("is missing"));
}

TEST_CASE("a bad --set gets one clear line", "[scenario]") {
  CHECK_THROWS_WITH(tests::sora({"training.data_factor=many"}), contains("'many' is not a number"));
  CHECK_THROWS_WITH(tests::sora({"training.data_factor=6..3"}), contains("swap"));
  CHECK_THROWS_WITH(tests::sora({"video.share=2"}), contains("out of range"));
  CHECK_THROWS_WITH(tests::sora({"training.data_facto=3"}), contains("training.data_factor"));
}

TEST_CASE("a mistake in a list's entry gets one line with its number, and what to write", "[scenario]") {
  const std::string text = shipped("id = \"youtube\"", "id = \"youtube\"\ngenerated_shaer = { value = 1 }");
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<long>(text.find("generated_shaer")), '\n');
  CHECK_THAT(message_of(text),
             contains(fmt::format("s.toml:{}: unknown table 'uploads.youtube.generated_shaer' (did you mean "
                                  "'uploads.youtube.generated_share'?)",
                                  line)));
  CHECK_THAT(message_of(shipped("images = {", "images = { vlaue = 3,")),
             contains("unknown key 'uploads.instagram.images.vlaue' (did you mean 'uploads.instagram.images.value'?)"));
  CHECK_THAT(message_of(shipped("id = \"youtube\"", "id = \"tiktok\"")),
             contains("[[uploads]] has an entry 'tiktok' already"));
  CHECK_THAT(message_of(shipped("id = \"youtube\"\n", "")), contains("an entry of [[uploads]] has no 'id'"));
  CHECK_THAT(message_of(shipped("value = 17e6, unit = \"min/day\"", "value = 17e6")),
             contains("uploads.tiktok.video has no unit: add unit = \"min/day\""));
  CHECK_THAT(message_of(shipped("value = 17e6, unit = \"min/day\"", "value = 17e6, unit = \"image/day\"")),
             contains("'uploads.tiktok.video.unit' = \"image/day\" is not one of: min/day"));
  CHECK_THAT(message_of(shipped("id = \"gpt4\"", "id = \"clip\"")), contains("choose another"));
}

TEST_CASE("--set names a number of a list's entry", "[scenario]") {
  const auto s = tests::sora({"uploads.tiktok.video=20e6..30e6", "uploads.youtube.generated_share.value=0.2"});
  CHECK(s.at("uploads.tiktok.video").high == 30e6);
  CHECK(s.at("uploads.tiktok.video").tag == budget::Tag::assumed);
  CHECK(s.at("uploads.youtube.generated_share").low == 0.2);
  CHECK(s.inputs.at("uploads.youtube.generated_share").source == "--set uploads.youtube.generated_share.value=0.2");
  CHECK(s.at("uploads.youtube.video").tag == budget::Tag::published);
  CHECK_THROWS_WITH(tests::sora({"uploads.tiktokk.video=1"}),
                    contains("[[uploads]] has no entry 'tiktokk' (did you mean 'tiktok'?)"));
  CHECK_THROWS_WITH(tests::sora({"uploads.tiktok.video=1e20"}), contains("out of range"));
}

TEST_CASE("keys from before there were lists are refused with what to write", "[scenario]") {
  const std::string old = R"([demand]
some_share = { value = 0.5, unit = "1", tag = "published", source = "x" }
)";
  CHECK_THAT(message_of(tests::small_scenario("value = 1", old)),
             contains("unknown key 'demand.some_share': write generated_share in the platform's [[uploads]] instead"));
  CHECK_THAT(
      message_of(tests::small_scenario("value = 1", "[outputs]\nclip_name = \"5 s clip\"\n")),
      contains("'outputs' is a list: write [[outputs]] and its keys (id, name, tokens, parameters) below, once for "
               "each; image_name and clip_name stand in [inference]"));
  CHECK_THAT(
      message_of(tests::small_scenario("value = 1", "[uploads]\nsome = { value = 1 }\n")),
      contains("'uploads' is a list: write [[uploads]] and its keys (id, name, images, video, generated_share)"));
  CHECK_THROWS_WITH(tests::sora({"uploads.tiktok=1"}),
                    contains("name a key in it, uploads.tiktok.key=value with one of id, name, images, video"));
  CHECK_THROWS_WITH(tests::sora({"outputs.clip_name=x"}), contains("image_name and clip_name stand in [inference]"));
}

TEST_CASE("what is drawn stands in the table of keys", "[scenario]") {
  for (const auto& key : budget::scenario_keys()) {
    const std::string name = key.key;
    INFO(name);
    const bool is_described = name.starts_with("scaling.curve_") || name.starts_with("goodput.effective_time");
    CHECK(key.drawn ==
          !(name == "cost.gpus" || name.starts_with("utilisation.") || name.starts_with("disclosed.") || is_described));
  }
  REQUIRE(budget::scenario_key("uploads.acme.video") != nullptr);
  CHECK(std::string(budget::scenario_key("uploads.acme.video")->unit) == "min/day");
  for (const char* none :
       {"uploads.video", "uploads..video", "uploads.a.b.video", "uploads.acme.vide", "uploads.*", ""})
    CHECK(budget::scenario_key(none) == nullptr);
}
