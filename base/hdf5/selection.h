// How many elements of a dataset a mapping of a virtual dataset selects, whatever the dataset's extent has become.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/hdf5.h"

namespace gpumonth::hdf5::detail {

/// What one mapping selects, of the virtual dataset or of a source.
class Selection {
 public:
  /// `dims`: the dataset's extent. A selection of everything is stored without one.
  Selection(const Handle& space, std::vector<hsize_t> dims) : space_(space), dims_(std::move(dims)) {
    const auto rank = dims_.size();
    if (H5Sget_select_type(space.get()) == H5S_SEL_ALL) {
      start_.assign(rank, 0), stride_ = block_ = dims_, count_.assign(rank, 1);
    } else if (H5Sis_regular_hyperslab(space.get()) > 0 &&
               H5Sget_simple_extent_ndims(space.get()) == static_cast<int>(rank)) {
      for (auto* v : {&start_, &stride_, &count_, &block_}) v->resize(rank);
      H5Sget_regular_hyperslab(space.get(), start_.data(), stride_.data(), count_.data(), block_.data());
    }
    H5Eclear2(H5E_DEFAULT);
  }

  /// The dimension without an end; none: limited.
  std::optional<std::size_t> unlimited() const {
    for (std::size_t d = 0; d < count_.size(); ++d)
      if (count_[d] == H5S_UNLIMITED || block_[d] == H5S_UNLIMITED) return d;
    return {};
  }
  /// Selected elements that the dataset has.
  hsize_t inside() const {
    if (!regular()) return ends_inside() ? static_cast<hsize_t>(H5Sget_select_npoints(space_.get())) : 0;
    hsize_t points = 1;
    for (std::size_t d = 0; d < dims_.size(); ++d) points *= inside(d);
    return points;
  }
  /// Blocks along the unlimited dimension `d` that begin within the dataset.
  hsize_t blocks(std::size_t d) const {
    return dims_[d] <= start_[d] ? 0 : (dims_[d] - start_[d] + stride_[d] - 1) / stride_[d];
  }
  /// First and last selected row.
  std::pair<std::int64_t, std::int64_t> rows() const {
    if (!regular()) {
      std::vector<hsize_t> low(dims_.size()), high(dims_.size());
      H5Sget_select_bounds(space_.get(), low.data(), high.data());
      return {static_cast<std::int64_t>(low[0]), static_cast<std::int64_t>(high[0])};
    }
    const hsize_t last = count_[0] == H5S_UNLIMITED || block_[0] == H5S_UNLIMITED
                             ? dims_[0]
                             : start_[0] + (count_[0] - 1) * stride_[0] + block_[0];
    return {static_cast<std::int64_t>(start_[0]), static_cast<std::int64_t>(last) - 1};
  }
  /// Elements of one block along the unlimited dimension `d`.
  hsize_t points_of_block(std::size_t d) const {
    hsize_t points = block_[d];
    for (std::size_t other = 0; other < dims_.size(); ++other)
      if (other != d) points *= inside(other);
    return points;
  }
  /// Rows of block `k` along the unlimited first dimension.
  std::pair<std::int64_t, std::int64_t> rows_of_block(hsize_t k) const {
    const auto first = static_cast<std::int64_t>(start_[0] + k * stride_[0]);
    return {first, first + static_cast<std::int64_t>(block_[0]) - 1};
  }
  /// Whether it is one run of whole rows.
  bool is_row_range() const {
    if (!regular() || (count_[0] != 1 && stride_[0] != block_[0])) return false;
    for (std::size_t d = 1; d < dims_.size(); ++d)
      if (inside(d) != dims_[d]) return false;
    return true;
  }

 private:
  bool regular() const { return count_.size() == dims_.size() && !dims_.empty(); }
  bool ends_inside() const {
    std::vector<hsize_t> low(dims_.size()), high(dims_.size());
    if (H5Sget_simple_extent_ndims(space_.get()) != static_cast<int>(dims_.size())) return false;
    if (H5Sget_select_bounds(space_.get(), low.data(), high.data()) < 0) return false;
    for (std::size_t d = 0; d < dims_.size(); ++d)
      if (high[d] >= dims_[d]) return false;
    return true;
  }
  /// Coordinates along dimension `d`.
  hsize_t inside(std::size_t d) const {
    if (dims_[d] <= start_[d]) return 0;
    const hsize_t room = dims_[d] - start_[d];
    // One block has no stride; an endless one is the largest number.
    if (count_[d] == 1) return std::min(block_[d], room);
    const hsize_t whole = room / stride_[d];
    if (whole >= count_[d]) return count_[d] * block_[d];
    return whole * block_[d] + std::min(block_[d], room - whole * stride_[d]);
  }

  const Handle& space_;
  std::vector<hsize_t> dims_, start_, stride_, count_, block_;
};

}  // namespace gpumonth::hdf5::detail
