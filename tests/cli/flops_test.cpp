// gpumonth flops, and what every command has in common: exit codes, help, mistyped words.
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth::tests;

namespace {

const std::string kModels = std::string(GPUMONTH_SOURCE_DIR) + "/configs/models/";

CommandResult run_gpumonth(const std::string& arguments) { return run_command(GPUMONTH_BINARY " " + arguments); }

/// Expects exit code 2, one line on stderr and nothing on stdout; returns the line without "gpumonth: ".
std::string mistake(const std::string& arguments) {
  const auto r = run_gpumonth(arguments);
  INFO(arguments << "\n" << r.out << r.err);
  CHECK(r.exit_code == 2);
  CHECK(r.out.empty());
  REQUIRE(r.err.rfind("gpumonth: ", 0) == 0);
  CHECK(r.err.find('\n') == r.err.size() - 1);
  return r.err.substr(10, r.err.size() - 11);
}

}  // namespace

TEST_CASE("flops --json has the fields other programs rely on") {
  const auto r = run_gpumonth("flops " + kModels + "dit-xl-2.toml --json");
  REQUIRE(r.exit_code == 0);
  CHECK(r.err.empty());
  const auto json = nlohmann::json::parse(r.out);
  CHECK(json["tokens"] == 256);
  const auto macs = json["forward_macs_per_sample"].get<std::int64_t>();
  CHECK(std::fabs(static_cast<double>(macs) / 1e9 - 118.64) < 0.24);
  CHECK(json["forward_flops_per_sample"] == 2 * macs);
  CHECK(json["train_flops_per_sample"] == 6 * macs);
  std::int64_t layer_macs = 0, params = 0, bytes = 0;
  for (const auto& layer : json["layers"]) {
    layer_macs += layer["forward_macs_per_sample"].get<std::int64_t>();
    params += layer["params"].get<std::int64_t>();
  }
  for (const auto& part : json["memory"]) bytes += part["bytes"].get<std::int64_t>();
  CHECK(layer_macs == macs);
  CHECK(json["params"] == params);
  CHECK(json["bytes_per_rank"]["total"] == bytes);
  CHECK(r.out.find("null") == std::string::npos);
}

TEST_CASE("--set, --batch and --dtype change what they say") {
  const std::string base = "flops --json --set model.depth=2 --set model.input_size=64 " + kModels + "dit-s-2.toml";
  const auto one = nlohmann::json::parse(run_gpumonth(base).out);
  const auto four = nlohmann::json::parse(run_gpumonth(base + " --batch 4 --dtype fp32").out);
  CHECK(one["tokens"] == 1024);
  CHECK(one["layers"][3]["count"] == 2);
  const auto activations = [](const nlohmann::json& json) {
    return json["bytes_per_rank"]["activations"].get<std::int64_t>();
  };
  CHECK(activations(four) > 4 * activations(one));
  const auto accumulated = nlohmann::json::parse(run_gpumonth(base + " --batch 4 --accumulate 4").out);
  CHECK(accumulated["accumulate"] == 4);
  CHECK(activations(accumulated) == activations(one));
  CHECK(accumulated["bytes_per_rank"]["gradients"] == 2 * one["bytes_per_rank"]["gradients"].get<std::int64_t>());
  // one layout of 4 bytes in fp32, two of 2 bytes in bf16
  CHECK(four["bytes_per_rank"]["packed_weights"] == one["bytes_per_rank"]["packed_weights"].get<std::int64_t>());
}

TEST_CASE("ranks share state and samples, and send") {
  const auto of = [](const std::string& options) {
    const auto r = run_gpumonth("flops --json " + kModels + "dit-s-2.toml " + options);
    INFO(options << r.err);
    REQUIRE(r.exit_code == 0);
    return nlohmann::json::parse(r.out);
  };
  const auto sent = [](const nlohmann::json& json, const char* kind) {
    return json["sent_bytes_per_rank"][kind].get<std::int64_t>();
  };
  const auto alone = of("");
  CHECK(alone["ranks"] == 1);
  CHECK(sent(alone, "total") == 0);
  CHECK(alone["sent"].empty());
  const auto pair = of("--ranks 2");
  CHECK(pair["bytes_per_rank"] == alone["bytes_per_rank"]);
  // 32.9 M parameters of 4 bytes, of which a rank of two sends one times as many
  CHECK(sent(pair, "reduced") / 1'000'000 == 4 * pair["params"].get<std::int64_t>() / 1'000'000);
  const auto full = of("--ranks 2 --sharding full");
  CHECK(2 * full["bytes_per_rank"]["ema"].get<std::int64_t>() == alone["bytes_per_rank"]["ema"].get<std::int64_t>());
  CHECK(full["shard_group"] == 2);
  CHECK(2 * sent(full, "reduced") == sent(pair, "reduced"));
  CHECK(sent(full, "gathered") > sent(full, "reduced"));
  const auto groups = of("--ranks 4 --sharding full --shard-group 2 --backend cuda --reduce-dtype bf16");
  CHECK(groups["shard_group"] == 2);
  const auto shared = of("--ranks 2 --sequence-parallel 2 --batch 2 --link 10");
  CHECK(shared["sequence_parallel"] == 2);
  // 2 samples x 128 own tokens x 384 x 2 bytes a tensor, half to the other; 12 blocks, 4 forward, 4 backward
  CHECK(sent(shared, "exchanged") == 12 * 8 * (2 * 128 * 384 * 2) / 2);
  CHECK(shared["sent_s"].get<double>() == Approx(static_cast<double>(sent(shared, "total")) / 1e10));
  REQUIRE(shared["hidden_below"].size() == 1);  // forward has all-to-alls alone, which nothing hides
  CHECK(shared["hidden_below"][0]["phase"] == "backward");
  // FLOPs of a sample's half, of two samples, in the time that gradients take
  CHECK(shared["hidden_below"][0]["flops_per_s"].get<double>() ==
        Approx(2.0 / 3 * shared["train_flops_per_sample"].get<double>() * 1e10 /
               static_cast<double>(sent(shared, "reduced"))));
  const auto r = run_gpumonth("flops " + kModels + "dit-s-2.toml --ranks 4 --sharding full --link 1");
  CHECK_THAT(r.out, contains("gathered: blocks' weights before their backward") &&
                        contains("(4 ranks, full sharding;") &&
                        contains("forward hides what it sends while a rank computes at most"));
}

TEST_CASE("what does not divide is refused in one line") {
  const std::string base = "flops " + kModels + "dit-s-2.toml ";
  CHECK(mistake(base + "--ranks 6 --sequence-parallel 4") ==
        "--sequence-parallel 4 does not divide the 6 ranks: take 3 or 6");
  CHECK(mistake(base + "--ranks 6 --sharding full --shard-group 4") ==
        "--shard-group 4 does not divide the 6 ranks: take 3 or 6");
  CHECK(mistake(base + "--ranks 5 --sequence-parallel 5") ==
        "--sequence-parallel 5: 5 ranks cannot share 6 heads: take 1 or 2");
  CHECK_THAT(mistake(base + "--sequence-parallel 2"), contains("more than 1 rank: set --ranks"));
  CHECK_THAT(mistake(base + "--ranks 4 --shard-group 2"), contains("add --sharding full"));
  CHECK_THAT(mistake(base + "--ranks 2 --reduce-dtype bf16"), contains("--backend cuda"));
  CHECK_THAT(mistake(base + "--ranks 5 --ranks-per-host 2"), contains("not a multiple of --ranks-per-host 2"));
}

TEST_CASE("flops prints a table for people") {
  const auto r = run_gpumonth("flops " + kModels + "dit-xl-2-512.toml");
  CHECK(r.exit_code == 0);
  CHECK_THAT(r.out, contains("524.54 GMACs = 1.0491 TFLOPs"));
  CHECK_THAT(r.out, contains("blocks.attn.qkv"));
  CHECK_THAT(r.out, contains("optimizer: exp_avg"));
}

TEST_CASE("help and version succeed") {
  const auto help = run_gpumonth("--help");
  CHECK(help.exit_code == 0);
  for (const char* command : {"flops", "budget", "report"}) CHECK_THAT(help.out, contains(command));
  const auto flops = run_gpumonth("flops --help");
  CHECK(flops.exit_code == 0);
  for (const char* option : {"--set", "--json", "--batch", "--dtype", "bf16"}) CHECK_THAT(flops.out, contains(option));
  const auto keys = run_gpumonth("flops --help-config");
  CHECK(keys.exit_code == 0);
  CHECK_THAT(keys.out, contains("[model]\n"));
  CHECK_THAT(keys.out, contains("hidden_size = 1152"));
  const auto version = run_gpumonth("--version");
  CHECK(version.exit_code == 0);
  CHECK(version.out.rfind("gpumonth 0.", 0) == 0);
  CHECK(run_gpumonth("").exit_code == 2);
}

TEST_CASE("a mistyped command or option names the nearest one") {
  CHECK_THAT(mistake("flosp x.toml"), contains("unknown command 'flosp' (did you mean 'flops'?); commands: "));
  CHECK(mistake("flops " + kModels + "dit-s-2.toml --jsn") ==
        "flops: unknown option '--jsn' (did you mean '--json'?); see 'gpumonth flops --help'");
  CHECK(mistake("flops --btach=8 " + kModels + "dit-s-2.toml") ==
        "flops: unknown option '--btach' (did you mean '--batch'?); see 'gpumonth flops --help'");
  CHECK_THAT(mistake("--verison"), contains("unknown option '--verison' (did you mean '--version'?)"));
}

TEST_CASE("a user's mistake is one line and exit code 2") {
  CHECK_THAT(mistake("flops"), contains("flops: "));
  CHECK(mistake("flops none.toml") == "none.toml: no such file");
  CHECK_THAT(mistake("flops " + kModels + "dit-s-2.toml --batch 0"), contains("--batch"));
  CHECK_THAT(mistake("flops " + kModels + "dit-s-2.toml --batch many"), contains("--batch"));
  CHECK_THAT(mistake("flops " + kModels + "dit-s-2.toml --batch 6 --accumulate 4"),
             contains("--batch 6 is not divisible by --accumulate 4") && contains("--batch 8"));
  CHECK_THAT(mistake("flops " + kModels + "dit-s-2.toml --dtype fp8"), contains("--dtype"));
  CHECK_THAT(mistake("flops " + kModels + "dit-s-2.toml extra"), contains("extra"));
  CHECK(mistake("flops " + kModels + "dit-s-2.toml --set model.num_heads=7") ==
        "model: hidden_size 384 is not a multiple of num_heads 7: change one of them");
  CHECK(mistake("flops " + kModels + "dit-s-2.toml --set model.dpeth=7") ==
        "--set model.dpeth=7: unknown key 'model.dpeth' (did you mean 'model.depth'?)");
}
