// Where samples come from: a latent dataset in HDF5, or the embedded procedural set of moving shapes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "model/config.h"

namespace gpumonth::trainer {

/// Which samples these are, in which order: what a resumed run must find again.
struct DatasetIdentity {
  std::int64_t samples = 0;  ///< 0: not known
  std::string contents;      ///< "procedural", or a checksum of the labels and of some latents; empty: not known
  bool operator==(const DatasetIdentity&) const = default;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;  ///< samples; the procedural set is as good as endless
  virtual std::string description() const = 0;
  virtual std::string note() const { return ""; }  ///< what its user could do for it; empty: nothing
  virtual DatasetIdentity identity() const = 0;
  /// Fills `latents` (indices.size(), C, [F,] H, W) fp32 and `labels` (indices.size()). The same index gives the
  /// same sample, whatever the rank. Throws UserError on a read error.
  virtual void read(std::span<const std::int64_t> indices, float* latents, std::int32_t* labels) = 0;
};

/// `/latents` (N, C, [F,] H, W) and `/labels` (N), read by shard: only the rows asked for are loaded. Throws
/// UserError where the file is missing, not HDF5, truncated, lacks a part of its data or the filter to read them
/// (base/hdf5/storage.h), is of another shape than the model's, or labels are out of range.
std::unique_ptr<Dataset> open_latent_dataset(const std::filesystem::path& file, const model::ModelConfig& model);

/// Moving shapes drawn straight in latent space, roughly unit variance, label = shape x direction class (modulo
/// num_classes), position, size and noise drawn by Philox from (seed, index).
std::unique_ptr<Dataset> make_procedural_dataset(const model::ModelConfig& model, std::uint64_t seed);

/// The dataset index of global sample `position` = (step - 1) * global_batch + i: epoch by epoch through a
/// permutation of the dataset keyed by (seed, epoch); never depends on the rank count.
std::int64_t shuffled_index(std::int64_t position, std::int64_t dataset_size, std::uint64_t seed);

}  // namespace gpumonth::trainer
