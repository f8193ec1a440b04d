// Chakra files are decoded by a reader of protobuf's wire format that is written here, from
// https://protobuf.dev/programming-guides/encoding and Chakra's et_def.proto.
#include <map>
#include <set>
#include <stdexcept>

#include "exchange/formats.h"
#include "tests/catch.h"
#include "tests/exchange/made_run.h"

using namespace gpumonth;
using namespace gpumonth::exchange;

namespace {

struct Field {
  int number;
  std::uint64_t value;  // of a varint
  std::string bytes;    // of what has a length
};

std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.at(0));
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 127) << shift;
    if (byte < 128) return value;
  }
  throw std::runtime_error("a varint without end");
}

std::string take_bytes(std::string_view& bytes) {
  const auto length = take_varint(bytes);
  if (length > bytes.size()) throw std::runtime_error("longer than what is left");
  std::string taken(bytes.substr(0, length));
  bytes.remove_prefix(length);
  return taken;
}

std::vector<Field> fields(std::string_view message) {
  std::vector<Field> list;
  while (!message.empty()) {
    const auto key = take_varint(message);
    Field field{static_cast<int>(key >> 3), 0, ""};
    if ((key & 7) == 0) {
      field.value = take_varint(message);
    } else if ((key & 7) == 2) {
      field.bytes = take_bytes(message);
    } else {
      throw std::runtime_error("a wire type that Chakra's fields do not have");
    }
    list.push_back(field);
  }
  return list;
}

struct ChakraNode {
  std::uint64_t id = 0, type = 0, start_us = 0, duration_us = 0;
  std::string name;
  std::set<std::uint64_t> order, data;
  std::map<std::string, Field> attributes;  // the value's field

  std::uint64_t attribute(const std::string& key, int field) const {
    REQUIRE(attributes.contains(key));
    CHECK(attributes.at(key).number == field);
    return attributes.at(key).value;
  }
};

ChakraNode node_of(const std::string& message) {
  ChakraNode node;
  for (const Field& f : fields(message)) {
    if (f.number == 1) node.id = f.value;
    if (f.number == 2) node.name = f.bytes;
    if (f.number == 3) node.type = f.value;
    if (f.number == 4 || f.number == 5)
      for (std::string_view packed = f.bytes; !packed.empty();)
        (f.number == 4 ? node.order : node.data).insert(take_varint(packed));
    if (f.number == 6) node.start_us = f.value;
    if (f.number == 7) node.duration_us = f.value;
    if (f.number != 10) continue;
    const auto attribute = fields(f.bytes);
    REQUIRE(attribute.size() == 2);
    CHECK(attribute[0].number == 1);
    node.attributes[attribute[0].bytes] = attribute[1];
  }
  return node;
}

/// A file's nodes behind its metadata, whose fields are checked.
std::vector<ChakraNode> decode(const std::string& file) {
  std::string_view rest = file;
  const auto metadata = fields(take_bytes(rest));
  CHECK(metadata.at(0).number == 1);
  CHECK(metadata.at(0).bytes == "0.0.4");
  std::vector<ChakraNode> nodes;
  while (!rest.empty()) nodes.push_back(node_of(take_bytes(rest)));
  return nodes;
}

std::vector<ChakraNode> nodes_of(const runlog::Run& run, const std::string& steps, int rank) {
  return decode(to_chakra(Timeline(run, select_steps(run, steps, DefaultSteps::last_exchanged)), rank));
}

constexpr std::uint64_t kComp = 4, kColl = 7;
constexpr int kInt64 = 9, kBool = 27;

}  // namespace

TEST_CASE("a Chakra file holds the run's bytes and durations") {
  const auto run = samples::made_run(3);
  for (int rank = 0; rank < 3; ++rank) {
    INFO("rank " << rank);
    std::map<std::string, std::uint64_t> us;  // by what a node's name says behind "step 8 "
    std::uint64_t bytes = 0, buckets = 0;
    for (const auto& node : nodes_of(run, "8", rank)) {
      CHECK(node.name.starts_with("step 8 "));
      CHECK(node.attribute("is_cpu_op", kBool) == 0);
      if (node.type == kComp) us[node.name.substr(7)] += node.duration_us;
      if (node.type != kColl) continue;
      ++buckets;
      CHECK(node.attribute("comm_type", kInt64) == 0);
      bytes += node.attribute("comm_size", kInt64);
      CHECK(node.duration_us == 100'000);
    }
    CHECK(buckets == 3);
    CHECK(bytes == 1'000'000 + 1'000'001 + 500'000);
    const auto per_mille = static_cast<std::uint64_t>(1000 + 100 * rank);  // 50 ms are 50 us of these
    CHECK(us["data"] == 50 * per_mille);
    CHECK(us["forward"] == 250 * per_mille);
    CHECK(us["backward"] == 300 * per_mille);
    CHECK(us["optimizer"] == 100 * per_mille);
    CHECK(us["other"] == 150'000);
    CHECK(us.size() == 5);
  }
}

TEST_CASE("nodes come after what they depend on, from the first step to the last") {
  const auto run = samples::made_run();
  const auto nodes = nodes_of(run, "4:12", 0);
  std::set<std::uint64_t> known;
  std::size_t roots = 0;
  for (const auto& node : nodes) {
    INFO(node.name);
    roots += node.data.empty() && node.order.empty();
    for (const auto* needs : {&node.data, &node.order})
      for (const auto id : *needs) CHECK(known.contains(id));
    CHECK(known.insert(node.id).second);
    if (node.type == kColl) CHECK(node.data.size() == 1);
    if (node.type == kColl && node.name.find("bucket 0") == std::string::npos) CHECK(node.order.size() == 1);
  }
  CHECK(roots == 1);
  CHECK(nodes.back().name == "step 12 other");
  CHECK(nodes.front().start_us == 0);
  CHECK(nodes.back().start_us == 8'850'000);
}

TEST_CASE("whole microseconds lose nothing over many operations") {
  auto run = samples::made_run(1);
  for (auto& step : run.steps) {
    step.forward_s = 0.4e-6;
    step.data_s = step.backward_s = step.optimizer_s = step.exposed_comm_s = 0;
    step.step_time_s = 0.4e-6;
  }
  std::uint64_t us = 0;
  for (const auto& node : nodes_of(run, "1:20", 0)) us += node.duration_us;
  CHECK(us == 8);
}

TEST_CASE("a sharded optimizer's buckets are reduce-scatters, one rank has none") {
  auto run = samples::made_run();
  run.info.config_toml = "[comm]\nsharding = \"optimizer\"\n";
  std::size_t buckets = 0;
  for (const auto& node : nodes_of(run, "8", 1)) {
    if (node.type != kColl) continue;
    CHECK(node.attribute("comm_type", kInt64) == 7);
    ++buckets;
  }
  CHECK(buckets == 3);
  for (const auto& node : nodes_of(samples::made_run(1), "8", 0)) CHECK(node.type == kComp);
}

TEST_CASE("numbers of more than seven bits, and bytes of more than 32, arrive whole") {
  auto run = samples::made_run();
  for (auto& bucket : run.buckets) bucket.bytes = 5'000'000'000 + bucket.bucket;
  std::uint64_t bytes = 0;
  for (const auto& node : nodes_of(run, "8", 0))
    if (node.type == kColl) bytes += node.attribute("comm_size", kInt64);
  CHECK(bytes == 15'000'000'003);
}
