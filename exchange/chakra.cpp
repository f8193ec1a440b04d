// Execution traces of MLCommons Chakra, one file a rank, as ASTRA-sim reads them: each message behind its length,
// a GlobalMetadata, then the Nodes. Fields and numbers from schema/protobuf/et_def.proto of mlcommons/chakra; what
// ASTRA-sim makes of them from its workload/Workload.cc.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "exchange/formats.h"

namespace gpumonth::exchange {
namespace {

/// A message in protobuf's wire format.
class Message {
 public:
  Message& number(int field, std::uint64_t value) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(value);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(value.size());
    text_ += value;
    return *this;
  }
  /// A packed list; nothing where it is empty.
  Message& numbers(int field, const std::vector<std::uint64_t>& values) {
    if (values.empty()) return *this;
    Message packed;
    for (const auto value : values) packed.varint(value);
    return bytes(field, packed.text_);
  }
  const std::string& text() const { return text_; }
  std::string behind_its_length() const {
    Message length;
    length.varint(text_.size());
    return length.text_ + text_;
  }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) text_ += static_cast<char>((value & 127) | 128);
    text_ += static_cast<char>(value);
  }

  std::string text_;
};

enum NodeType : std::uint64_t { kCompute = 4, kCollective = 7 };
enum CommType : std::uint64_t { kAllReduce = 0, kReduceScatter = 7 };

// AttributeProto: name = 1, int64_val = 9, bool_val = 27, string_val = 29
std::string attribute(std::string_view key, int field, std::uint64_t value) {
  return Message().bytes(1, key).number(field, value).text();
}
std::string boolean(std::string_view key, bool value) { return attribute(key, 27, value); }
std::string int64(std::string_view key, std::int64_t value) {  // ASTRA-sim takes comm_size as nothing else (its #224)
  return attribute(key, 9, static_cast<std::uint64_t>(value));
}
std::string text_attribute(std::string_view key, std::string_view value) {
  return Message().bytes(1, key).bytes(29, value).text();
}

class ChakraWriter {
 public:
  ChakraWriter(const Timeline& timeline, int rank) : timeline_(timeline), rank_(rank) {
    const auto& run = timeline.run();
    Message metadata;
    metadata.bytes(1, "0.0.4");  // of Chakra's schema
    metadata.bytes(2, text_attribute("run", run.path))
        .bytes(2, text_attribute("origin", runlog::name(run.info.origin)));
    metadata.bytes(2, int64("rank", rank));
    bytes_ = metadata.behind_its_length();
    origin_s_ = timeline.steps().front()->start_time_s;
  }

  std::string bytes() {
    for (const auto* step : timeline_.steps()) add(timeline_.program(*step, rank_));
    return std::move(bytes_);
  }

 private:
  void add(const std::vector<ProgramOperation>& program) {
    const std::uint64_t first = next_id_;
    for (const auto& node : program) {
      std::vector<std::uint64_t> data, order;
      for (const auto place : node.data) data.push_back(first + place);
      for (const auto place : node.order) order.push_back(first + place);
      if (node.data.empty() && first > 1) data.push_back(first - 1);  // the last operation of the step before
      bytes_ += encoded(node.operation, data, order).behind_its_length();
      ++next_id_;
    }
  }

  Message encoded(const Operation& o, const std::vector<std::uint64_t>& data, const std::vector<std::uint64_t>& order) {
    const bool collective = o.kind == Kind::collective;
    const std::string label = collective ? fmt::format("step {} bucket {}", o.step, o.bucket)
                                         : fmt::format("step {} {}", o.step, name(o.kind));
    Message node;
    node.number(1, next_id_).bytes(2, label).number(3, collective ? kCollective : kCompute);
    node.numbers(4, order).numbers(5, data);
    node.number(6, microseconds_since_start(o.start_s))
        .number(7, collective ? rounded_us(o.duration_s) : compute_us(o));
    node.bytes(10, boolean("is_cpu_op", false));  // else ASTRA-sim puts it beside the GPU's operations
    node.bytes(10, text_attribute("source", name(o.source)));
    if (collective) {
      const bool sum = timeline_.reduction() == Reduction::all_reduce;
      node.bytes(10, int64("comm_type", sum ? kAllReduce : kReduceScatter)).bytes(10, int64("comm_size", o.bytes));
    }
    return node;
  }

  static std::uint64_t rounded_us(double seconds) { return static_cast<std::uint64_t>(std::llround(seconds * 1e6)); }
  std::uint64_t microseconds_since_start(double time_s) const { return rounded_us(std::max(0.0, time_s - origin_s_)); }

  /// Whole microseconds are all that there is room for: what rounding takes from one operation the next one gets.
  std::uint64_t compute_us(const Operation& o) {
    const std::uint64_t before = rounded_us(computed_s_);
    computed_s_ += o.duration_s;
    return rounded_us(computed_s_) - before;
  }

  const Timeline& timeline_;
  int rank_;
  std::string bytes_;
  std::uint64_t next_id_ = 1;
  double origin_s_ = 0, computed_s_ = 0;
};

}  // namespace

std::string to_chakra(const Timeline& timeline, int rank) { return ChakraWriter(timeline, rank).bytes(); }

}  // namespace gpumonth::exchange
