#include "simulate/cluster.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/simulate/samples.h"

using namespace gpumonth;
using simulate::load_cluster;
using simulate::shape_of;
using tests::contains;

namespace {

const std::string kShipped = std::string(GPUMONTH_SOURCE_DIR) + "/configs/clusters/";

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What is said of the shipped file with one piece of it replaced.
std::string said_of(const std::string& from, const std::string& to) {
  const tests::TemporaryFolder folder;
  std::string text = text_of(kShipped + "dgx-h100.toml");
  REQUIRE(text.find(from) != std::string::npos);
  text.replace(text.find(from), from.size(), to);
  try {
    load_cluster(folder.write("c.toml", text));
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("shipped clusters load, every number with its source") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kShipped)) {
    INFO(entry.path());
    const auto c = load_cluster(entry.path());
    CHECK(c.between.bytes_per_s() > 0);
    CHECK(c.between.bytes_per_s() <= c.between.bandwidth.value);
    CHECK_FALSE(c.name.empty());
    ++files;
  }
  CHECK(files >= 3);
  const auto dgx = load_cluster(kShipped + "dgx-h100.toml");
  CHECK(dgx.gpus() == 8);
  CHECK(dgx.hosts.value * dgx.gpus() == 16384);
  CHECK(dgx.between.bandwidth.value == 8 * 50e9);  // eight ports of 400 Gbit/s
  CHECK(dgx.algorithm == simulate::Algorithm::fastest);
  CHECK(load_cluster(kShipped + "netlab.toml").algorithm == simulate::Algorithm::ring);
}

TEST_CASE("--set changes a cluster") {
  const auto c =
      load_cluster(kShipped + "dgx-h100.toml", {"between.bandwidth.value=25e9", "topology.placement=scattered"});
  CHECK(c.between.bandwidth.value == 25e9);
  CHECK(c.placement == simulate::Placement::scattered);
}

TEST_CASE("mistakes in a cluster file") {
  CHECK_THAT(said_of("latency = { value = 9.6e-6", "latncy = { value = 9.6e-6"), contains("between.latency"));
  CHECK_THAT(said_of("algorithm = \"fastest\"", "algorithm = \"rings\""), contains("ring"));
  CHECK_THAT(said_of("value = 2048, unit = \"1\"", "unit = \"1\""), contains("hosts.count is missing"));
  CHECK_THAT(said_of("value = 2048", "value = 2048.5"), contains("whole number"));
  CHECK_THAT(said_of("value = 400e9, unit = \"B/s\", tag = \"published\", source", "value = 400e9, source"),
             contains("needs unit, tag and source"));
  CHECK_THAT(said_of("value = 400e9, unit = \"B/s\"", "value = 400e9, unit = \"Gbit/s\""), contains("B/s"));
  CHECK_THAT(said_of("value = 0.9", "value = 1.9"), contains("between.efficiency"));
  CHECK_THROWS_AS(load_cluster("none.toml"), UserError);
}

TEST_CASE("where ranks run") {
  const auto c = tests::sample_cluster(8, 4);
  CHECK(shape_of(c, 5).gpus_per_host == 5);
  CHECK(shape_of(c, 5).hosts == 1);
  CHECK(shape_of(c, 32).hosts == 4);
  CHECK(shape_of(c, 32).ranks() == 32);
  CHECK_THROWS_WITH(shape_of(c, 33), contains("cannot hold 33 ranks"));
  CHECK_THROWS_WITH(shape_of(c, 40), contains("at most 32"));
  CHECK_THROWS_WITH(shape_of(c, 12), contains("give 8 or 16"));
  CHECK_THROWS_AS(shape_of(c, 0), UserError);
  CHECK_THROWS_WITH(shape_of(tests::sample_cluster(8, 1'000'000), 2'000'000), contains("at most 1000000"));
}
