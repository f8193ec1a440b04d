// gpumonth budget --backtest: recipes, tables of sampling times, or both.
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth::tests;

namespace {

CommandResult backtest(const std::string& files) { return run_command(GPUMONTH_BINARY " budget --backtest " + files); }

constexpr const char* kTable =
    "name,hardware,gpus,layers,width,mlp_width,context_tokens,tokens,gated_mlp,steps,forwards_per_step,"
    "includes_decoder,seconds,source\n"
    "a model,h100-sxm,1,40,5120,13824,512,75600,0,50,2,1,2000,test\n";

}  // namespace

TEST_CASE("a table of sampling times is predicted row by row", "[cli]") {
  const TemporaryFolder folder;
  const std::string table = folder.write("t.csv", kTable).string();
  const auto text = backtest(table);
  REQUIRE(text.exit_code == 0);
  CHECK_THAT(text.out, contains("Seconds to sample") && contains("a model") && !contains("GPU-hours"));
  const auto json = nlohmann::json::parse(backtest(table + " --json").out);
  CHECK(json.at("sampling").at(0).at("rows").at(0).at("disclosed_s") == 2000);
  CHECK_FALSE(json.contains("rows"));
}

TEST_CASE("recipes beside it keep their fields", "[cli]") {
  const TemporaryFolder folder;
  const std::string table = folder.write("t.csv", kTable).string(),
                    recipe = std::string(GPUMONTH_SOURCE_DIR) + "/configs/published/recipes/opensora2-s1.toml";
  const auto json = nlohmann::json::parse(backtest(recipe + " " + table + " --json").out);
  CHECK(json.at("rows").size() == 1);
  CHECK(json.contains("median_error"));
  CHECK(json.at("sampling").size() == 1);
}

TEST_CASE("a recipe of a class is predicted from other families, and both are said", "[cli]") {
  const std::string recipe = std::string(GPUMONTH_SOURCE_DIR) + "/configs/published/recipes-video/opensora12.toml";
  const auto json = nlohmann::json::parse(backtest(recipe + " --json").out);
  CHECK(json.at("rows").at(0).at("class") == "media");
  CHECK(json.at("rows").at(0).at("family") == "open-sora");
  CHECK(json.at("classes").at(0).at("families") >= 3);
  CHECK(json.at("interval_score") > 0);
  CHECK_THAT(backtest(recipe).out, contains("bills of all other families") && contains("  media "));
}

TEST_CASE("a recipe of a class without a family is refused", "[cli]") {
  const TemporaryFolder folder;
  const std::string configs =
      std::filesystem::absolute(GPUMONTH_SOURCE_DIR).string() + "/configs/";  // in a bundle it is "."
  const auto r =
      backtest(folder
                   .write("r.toml", "[hardware]\nfrom = \"" + configs +
                                        "hardware/h100-sxm.toml\"\n[model_source]\ntag = \"assumed\"\n"
                                        "source = \"test\"\n[time]\ndays_per_month = { value = 30, unit = "
                                        "\"day\", tag = \"assumed\", source = \"test\" }\n[utilisation]\nfrom = \"" +
                                        configs +
                                        "published/utilisation/media.toml\"\n[disclosed]\n"
                                        "gpu_hours = { value = 1, unit = \"GPU-hour\", tag = "
                                        "\"published\", source = \"test\" }\n")
                   .string());
  CHECK(r.exit_code == 2);
  CHECK_THAT(r.err, contains("disclosed.family is missing"));
}

TEST_CASE("a table that is none is one line and exit code 2", "[cli]") {
  const TemporaryFolder folder;
  const auto r = backtest(folder.write("t.csv", "ranks,samples_per_s\n1,2\n").string());
  CHECK(r.exit_code == 2);
  CHECK(r.out.empty());
  CHECK_THAT(r.err, contains("has no column 'name'"));
}
