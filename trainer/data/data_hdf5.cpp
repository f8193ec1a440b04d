// A latent dataset in HDF5: only the rows asked for are loaded.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/crc32.h"
#include "base/hdf5.h"
#include "trainer/data/data.h"

namespace gpumonth::trainer {

namespace {

using hdf5::Shape;

/// (C, F, H, W) for video, (C, H, W) for images.
Shape sample_shape(const model::ModelConfig& model) {
  if (model.is_video()) return {model.in_channels, model.frames, model.input_size, model.input_size};
  return {model.in_channels, model.input_size, model.input_size};
}

/// How to store latents whose axes are in another order than (N, C, [F,] H, W); empty: they are not, as far as the
/// shape tells. A hint to change the model would only swap its axes.
std::string order_hint(const Shape& stored, const model::ModelConfig& model) {
  const auto move = [](const char* found, const char* wanted, const char* call) {
    return fmt::format("it looks like {}: store it as {}, numpy.moveaxis(latents, {})", found, wanted, call);
  };
  if (stored.size() == 4 && stored[1] == stored[2] && stored[2] != stored[3])
    return move("(N, H, W, C)", "(N, C, H, W)", "-1, 1");
  if (stored.size() != 5) return "";
  if (stored[2] == stored[3] && stored[3] != stored[4]) return move("(N, F, H, W, C)", "(N, C, F, H, W)", "-1, 1");
  if (stored[1] != model.in_channels && stored[2] == model.in_channels && stored[3] == stored[4])
    return move("(N, F, C, H, W)", "(N, C, F, H, W)", "2, 1");
  return "";
}

/// What to change so that the model takes the dataset.
std::string shape_hint(const Shape& stored, const model::ModelConfig& model) {
  if (const std::string order = order_hint(stored, model); !order.empty()) return order;
  const std::size_t expected_rank = model.is_video() ? 5 : 4;
  if (stored.size() != expected_rank) {
    return stored.size() == 5 ? fmt::format("it holds video: set model.frames={}", stored[2])
                              : "give latents of images as (N, C, H, W), of video as (N, C, F, H, W)";
  }
  const auto height = stored[expected_rank - 2], width = stored[expected_rank - 1];
  if (height != width) return "only square latents are supported";
  if (stored[1] != model.in_channels) return fmt::format("set model.in_channels={}", stored[1]);
  if (model.is_video() && stored[2] != model.frames) return fmt::format("set model.frames={}", stored[2]);
  return fmt::format("set model.input_size={}", width);
}

void check_latents(const hdf5::Dataset& latents, const model::ModelConfig& model) {
  const Shape stored = latents.shape(), sample = sample_shape(model);
  if (!latents.is_float()) user_error("{} does not hold floating-point numbers; store float32", latents.name());
  if (stored.empty() || !std::equal(stored.begin() + 1, stored.end(), sample.begin(), sample.end())) {
    user_error("{} has shape {}, but the model needs (N, {}); {}", latents.name(), hdf5::to_string(stored),
               fmt::join(sample, ", "), shape_hint(stored, model));
  }
  if (stored[0] == 0) user_error("{} has no samples{}", latents.name(), latents.why_it_ends());
}

void check_label(std::int64_t label, std::int64_t row, const hdf5::Dataset& labels, int num_classes) {
  if (label >= 0 && label < num_classes) return;
  user_error("{}: label {} of sample {} is outside 0 to {}; set model.num_classes", labels.name(), label, row,
             num_classes - 1);
}

/// All labels, block by block: a bad one should not turn up after hours of training. Returns their checksum.
std::uint32_t check_labels(const hdf5::Dataset& labels, const hdf5::Dataset& latents, const model::ModelConfig& model) {
  const std::int64_t samples = latents.shape()[0];
  if (!labels.is_integer()) user_error("{} does not hold integers", labels.name());
  if (labels.shape() != Shape{samples}) {
    user_error("{} has shape {}, but there are {} latents: it needs ({}){}", labels.name(),
               hdf5::to_string(labels.shape()), samples, samples, latents.why_it_ends());
  }
  constexpr std::int64_t block = 1 << 20;
  std::vector<std::int64_t> values(static_cast<std::size_t>(std::min(block, samples)));
  std::uint32_t sum = 0;
  for (std::int64_t first = 0; first < samples; first += block) {
    const std::int64_t count = std::min(block, samples - first);
    labels.read_rows(first, count, values.data());
    for (std::int64_t i = 0; i < count; ++i) {
      check_label(values[static_cast<std::size_t>(i)], first + i, labels, model.num_classes);
    }
    sum = crc32_of(values.data(), static_cast<std::size_t>(count) * sizeof(std::int64_t), sum);
  }
  return sum;
}

/// The checksum `sum` of the labels, gone on with that of a few samples from all over the file.
std::uint32_t add_samples(const hdf5::Dataset& latents, std::int64_t sample, std::uint32_t sum) {
  constexpr std::int64_t looked_at = 8;
  const std::int64_t rows = latents.shape()[0];
  std::vector<float> values(static_cast<std::size_t>(sample));
  for (std::int64_t i = 0; i < std::min(looked_at, rows); ++i) {
    latents.read_rows(i * rows / std::min(looked_at, rows), 1, values.data());
    sum = crc32_of(values.data(), values.size() * sizeof(float), sum);
  }
  return sum;
}

class LatentDataset : public Dataset {
 public:
  LatentDataset(const std::filesystem::path& path, const model::ModelConfig& model)
      : file_(hdf5::File::open(path)), latents_(file_.dataset("/latents")), labels_(file_.dataset("/labels")),
        sample_(model.latent_size()), num_classes_(model.num_classes) {
    check_latents(latents_, model);
    size_ = latents_.shape()[0];
    const std::uint32_t sum = check_labels(labels_, latents_, model);
    identity_ = {size_, "crc32 " + crc32_text(add_samples(latents_, sample_, sum))};
  }

  std::int64_t size() const override { return size_; }
  DatasetIdentity identity() const override { return identity_; }

  std::string description() const override {
    return fmt::format("{} {}", file_.path(), hdf5::to_string(latents_.shape()));
  }

  /// Samples are drawn one by one from all over the file: of a chunk of many, all are read and decoded for one.
  std::string note() const override {
    const std::int64_t together = latents_.chunk_rows();
    if (together < kManySamples) return "";
    return fmt::format(
        "{}: {} samples lie in one chunk, and all of them are read for one: where data takes part of a step, store them "
        "one by one, h5repack -l latents:CONTI -f latents:NONE OLD.h5 NEW.h5",
        latents_.name(), together);
  }

  void read(std::span<const std::int64_t> indices, float* latents, std::int32_t* labels) override {
    sort(indices);
    for (std::size_t begin = 0; begin < order_.size();) {
      const std::size_t end = run_end(indices, begin);
      read_run(indices, begin, end, latents, labels);
      begin = end;
    }
  }

 private:
  static constexpr std::int64_t kManySamples = 8;  ///< in a chunk, from which on reading takes much longer than one's

  /// order_: places in the batch, by row of the file.
  void sort(std::span<const std::int64_t> indices) {
    for (const auto index : indices) {
      if (index < 0 || index >= size_) {
        throw std::out_of_range(fmt::format("{}: sample {} of {}", latents_.name(), index, size_));
      }
    }
    order_.resize(indices.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return indices[a] < indices[b]; });
  }

  /// The end of the consecutive rows that start at order_[begin].
  std::size_t run_end(std::span<const std::int64_t> indices, std::size_t begin) const {
    std::size_t end = begin + 1;
    while (end < order_.size() && indices[order_[end]] == indices[order_[end - 1]] + 1) ++end;
    return end;
  }

  void read_run(std::span<const std::int64_t> indices, std::size_t begin, std::size_t end, float* latents,
                std::int32_t* labels) {
    const std::int64_t first = indices[order_[begin]];
    const std::size_t count = end - begin;
    const auto sample = static_cast<std::size_t>(sample_);
    // In the order of the batch the rows can go straight to their places.
    bool in_place = true;
    for (std::size_t i = 0; i < count; ++i) in_place = in_place && order_[begin + i] == order_[begin] + i;
    float* target = latents + order_[begin] * sample;
    if (!in_place) {
      if (staging_.size() < count * sample) staging_.resize(count * sample);
      target = staging_.data();
    }
    row_labels_.resize(count);
    latents_.read_rows(first, static_cast<std::int64_t>(count), target);
    labels_.read_rows(first, static_cast<std::int64_t>(count), row_labels_.data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t row = first + static_cast<std::int64_t>(i);
      check_finite(target + i * sample, row);
      check_label(row_labels_[i], row, labels_, num_classes_);
      if (!in_place) std::copy_n(target + i * sample, sample, latents + order_[begin + i] * sample);
      labels[order_[begin + i]] = static_cast<std::int32_t>(row_labels_[i]);
    }
  }

  void check_finite(const float* values, std::int64_t row) const {
    const bool finite = std::all_of(values, values + sample_, [](float value) { return std::isfinite(value); });
    if (!finite) user_error("{}: sample {} holds NaN or infinity; mend or remove it", latents_.name(), row);
  }

  hdf5::File file_;
  hdf5::Dataset latents_, labels_;
  std::int64_t sample_, size_ = 0;  ///< values per sample, samples
  int num_classes_;
  DatasetIdentity identity_;
  std::vector<std::size_t> order_;
  std::vector<float> staging_;
  std::vector<std::int64_t> row_labels_;
};

}  // namespace

std::unique_ptr<Dataset> open_latent_dataset(const std::filesystem::path& file, const model::ModelConfig& model) {
  return std::make_unique<LatentDataset>(file, model);
}

}  // namespace gpumonth::trainer
