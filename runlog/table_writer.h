// Appends records to the columns of one table, many at a time.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "runlog/schema.h"

namespace gpumonth::runlog {

constexpr std::int64_t kChunkRows = 512;  ///< of a column: 4 KiB of float64, the unit that a flush rewrites

template <class Record>
class TableWriter {
 public:
  TableWriter(hdf5::File& file, const std::string& group, std::span<const Column<Record>> columns) : columns_(columns) {
    file.create_group(group);
    const Record prototype{};
    for (const auto& column : columns) {
      const std::string name = group + "/" + column.name;
      std::visit([&](auto member) { create(file, name, prototype.*member); }, column.member);
      file.set_attribute(name, "unit", column.unit);
      file.set_attribute(name, "description", column.description);
    }
  }

  void add(const Record& record) { buffer_.push_back(record); }
  bool empty() const { return buffer_.empty(); }

  /// At most what write() adds to the file: a chunk is written whole.
  std::int64_t bytes_to_write() const {
    const auto chunks = static_cast<std::int64_t>(buffer_.size()) / kChunkRows + 1;
    return static_cast<std::int64_t>(columns_.size()) * chunks * kChunkRows * 8;
  }

  void write() {
    if (buffer_.empty()) return;
    const auto count = static_cast<std::int64_t>(buffer_.size());
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      std::visit([&](auto member) { append(c, member); }, columns_[c].member);
    }
    rows_ += count;
    buffer_.clear();
  }

 private:
  /// An element that a killed writer left unwritten reads as NaN (times, loss), or 0 (a step that does not exist).
  template <class Value>
  void create(hdf5::File& file, const std::string& name, Value) {
    hdf5::Handle type = column_type(Value{});
    Value fill{};
    if constexpr (std::is_floating_point_v<Value>) fill = std::numeric_limits<Value>::quiet_NaN();
    datasets_.push_back(file.create_extendible(name, {}, type.get(), {.chunk_rows = kChunkRows, .fill = &fill}));
    types_.push_back(std::move(type));
  }

  template <class Value>
  void append(std::size_t column, Value Record::*member) {
    scratch_.resize(buffer_.size() * sizeof(Value));
    auto* out = reinterpret_cast<Value*>(scratch_.data());
    for (const auto& record : buffer_) *out++ = record.*member;
    datasets_[column].append(rows_, static_cast<std::int64_t>(buffer_.size()), scratch_.data(), types_[column].get());
  }

  std::span<const Column<Record>> columns_;
  std::vector<hdf5::Dataset> datasets_;
  std::vector<hdf5::Handle> types_;
  std::vector<Record> buffer_;
  std::vector<std::byte> scratch_;
  std::int64_t rows_ = 0;
};

}  // namespace gpumonth::runlog
