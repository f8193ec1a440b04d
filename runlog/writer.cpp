#include "runlog/writer.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/pending_file.h"
#include "runlog/superblock.h"
#include "runlog/table_writer.h"

namespace gpumonth::runlog {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A step that ends later than this after the last flush would leave more than a second to be lost.
constexpr double kFlushWithin_s = 0.9;
constexpr std::int64_t kMetadataBytes = 64 * 1024;  ///< chunk index and headers that one flush may add

/// Rows of every rank's step time: one row per step of all ranks.
class RankWriter {
 public:
  RankWriter(hdf5::File& file, int world_size)
      : world_size_(static_cast<std::size_t>(world_size)),
        chunk_rows_(std::max<std::int64_t>(1, 16384 / (4 * std::int64_t{world_size}))),
        step_(create(file, world_size, chunk_rows_)), time_(file.dataset(kRankStepTime)) {}

  void add(std::int64_t step, std::span<const float> step_time_s) {
    if (step_time_s.size() != world_size_) {
      throw std::invalid_argument(fmt::format("rank_times: {} values for {} ranks", step_time_s.size(), world_size_));
    }
    steps_.push_back(step);
    times_.insert(times_.end(), step_time_s.begin(), step_time_s.end());
  }

  bool empty() const { return steps_.empty(); }

  std::int64_t bytes_to_write() const {
    const auto count = static_cast<std::int64_t>(steps_.size());
    const std::int64_t row_bytes = 4 * static_cast<std::int64_t>(world_size_);
    return (count / kChunkRows + 1) * kChunkRows * 8 + (count / chunk_rows_ + 1) * chunk_rows_ * row_bytes;
  }

  void write() {
    if (steps_.empty()) return;
    const auto count = static_cast<std::int64_t>(steps_.size());
    time_.append(rows_, count, times_.data(), hdf5::native_type<float>());
    step_.append(rows_, count, steps_.data(), hdf5::native_type<std::int64_t>());
    rows_ += count;
    steps_.clear();
    times_.clear();
  }

 private:
  static hdf5::Dataset create(hdf5::File& file, int world_size, std::int64_t chunk_rows) {
    file.create_group(kRanksGroup);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    file.create_extendible(kRankStepTime, {world_size}, hdf5::native_type<float>(),
                           {.chunk_rows = chunk_rows, .fill = &nan});
    file.set_attribute(kRankStepTime, "unit", "s");
    file.set_attribute(kRankStepTime, "description", "every rank's own busy time of the step; column = rank");
    auto step = file.create_extendible(kRankStep, {}, hdf5::native_type<std::int64_t>(), {.chunk_rows = kChunkRows});
    file.set_attribute(kRankStep, "unit", "1");
    file.set_attribute(kRankStep, "description", "the step of each row of step_time_s");
    return step;
  }

  std::size_t world_size_;
  std::int64_t chunk_rows_, rows_ = 0;
  hdf5::Dataset step_, time_;
  std::vector<std::int64_t> steps_;
  std::vector<float> times_;
};

hdf5::Dataset create_clean_close(hdf5::File& file) {
  auto dataset = file.create_dataset<std::uint8_t>(kCleanClose, {1});
  file.set_attribute(kCleanClose, "unit", "1");
  file.set_attribute(kCleanClose, "description", "1 once the writer has closed the log; 0: still running, or killed");
  const std::uint8_t no = 0;
  dataset.write(&no);
  return dataset;
}

hdf5::File& with_info(hdf5::File& file, const RunInfo& info) {
  if (info.world_size < 1) throw std::invalid_argument("runlog::Writer: world_size < 1");
  file.reserve(4 * kMetadataBytes + static_cast<std::int64_t>(info.config_toml.size()));
  write_info(file, info);
  return file;
}

/// Known before the first step, so written once.
void write_comm(hdf5::File& file, const CommSweep& comm) {
  if (comm.rows.empty()) return;
  TableWriter<CommRecord> table(file, kCommGroup, comm_columns());
  file.set_attribute(kCommGroup, kCommMeasured, comm.measured);
  file.set_attribute(kCommGroup, kCommOperation, comm.operation);
  for (const CommRecord& row : comm.rows) table.add(row);
  file.reserve(table.bytes_to_write() + kMetadataBytes);
  table.write();
}

/// Everything in the file that is written to.
struct Tables {
  Tables(hdf5::File& file, const RunInfo& info)
      : steps(file, kStepsGroup,
              step_columns({.power = info.power_source.empty() ? PowerColumns::none : PowerColumns::all,
                            .small_grad_norm = info.small_batch > 0,
                            .exchange = info.sequence_ranks > 1,
                            .gathers = info.gathers_weights})),
        buckets(file, kBucketsGroup, bucket_columns()), ranks(file, info.world_size),
        clean_close(create_clean_close(file)) {}

  bool empty() const { return steps.empty() && buckets.empty() && ranks.empty(); }
  std::int64_t bytes_to_write() const {
    return steps.bytes_to_write() + buckets.bytes_to_write() + ranks.bytes_to_write() + kMetadataBytes;
  }
  void write() {
    ranks.write();
    buckets.write();
    steps.write();
  }

  TableWriter<StepRecord> steps;
  TableWriter<BucketRecord> buckets;
  RankWriter ranks;
  hdf5::Dataset clean_close;
};

}  // namespace

struct Writer::Impl {
  Impl(const std::filesystem::path& path, const RunInfo& info, const CommSweep& comm)
      : pending(path, hdf5::PendingFile::Existing::refuse, true), file(with_info(pending.file(), info)),
        tables(std::in_place, file, info) {
    write_comm(file, comm);
    // From here on HDF5 allows appending and overwriting only: no new datasets, no new attributes.
    file.start_swmr();
    clear_writer_flags(file.descriptor());
    pending.publish();
  }

  void flush() {
    last_flush = Clock::now();
    if (writable().empty()) return;
    file.reserve(tables->bytes_to_write());
    guarded([&] { tables->write(); });
  }

  Tables& writable() {
    if (broken) throw UserError(broken_reason);
    if (closed) throw std::logic_error("runlog::Writer used after close()");
    return *tables;
  }

  /// Writes and flushes; after a failure no more is written, since part of the columns may have grown already
  /// and the same rows again would shift them.
  template <class F>
  void guarded(F&& write) {
    try {
      write();
      file.flush();
    } catch (const UserError& error) {
      broken = true;
      broken_reason = error.what();
      throw;
    }
    clear_writer_flags(file.descriptor());
  }

  /// Whether the next step, if it takes as long as the last one, would end too long after the last flush.
  bool flush_due(Clock::time_point now, double step_time_s) {
    const double expected_s = std::max(step_time_s, seconds_between(last_step, now));
    last_step = now;
    return !(seconds_between(last_flush, now) + expected_s <= kFlushWithin_s);  // a NaN flushes
  }

  void close() {
    if (closed) return;
    flush();
    const std::uint8_t yes = 1;
    guarded([&] { tables->clean_close.write(&yes); });
    closed = true;
    tables.reset();
    file.close();
  }

  hdf5::PendingFile pending;
  hdf5::File& file;
  std::optional<Tables> tables;  ///< none once closed
  Clock::time_point last_flush = Clock::now(), last_step = last_flush;
  double cost_s = 0;
  bool closed = false, broken = false;
  std::string broken_reason;
};

namespace {

/// Adds the time until the end of the scope to a sum.
struct Cost {
  explicit Cost(double& total) : sum(total) {}
  ~Cost() { sum += seconds_between(start, Clock::now()); }
  Cost(const Cost&) = delete;
  Cost& operator=(const Cost&) = delete;
  double& sum;
  Clock::time_point start = Clock::now();
};

}  // namespace

Writer::Writer(const std::filesystem::path& file, const RunInfo& info, const CommSweep& comm)
    : impl_(std::make_unique<Impl>(file, info, comm)) {}

Writer::~Writer() {
  if (impl_->closed) return;
  try {
    impl_->flush();  // without the mark of a clean end: nobody called close()
  } catch (const std::exception&) {
  }
  // HDF5 cannot close a file of which a write has failed; trying would leave a superblock that names data
  // which are not there. Abandoned as by a kill -9, the log holds everything up to the last flush.
  if (impl_->broken) static_cast<void>(impl_.release());
}

void Writer::step(const StepRecord& record) {
  const Cost cost(impl_->cost_s);
  impl_->writable().steps.add(record);
  if (impl_->flush_due(Clock::now(), record.step_time_s)) impl_->flush();
}

void Writer::buckets(std::span<const BucketRecord> records) {
  const Cost cost(impl_->cost_s);
  for (const auto& record : records) impl_->writable().buckets.add(record);
}

void Writer::rank_times(std::int64_t step, std::span<const float> step_time_s) {
  const Cost cost(impl_->cost_s);
  impl_->writable().ranks.add(step, step_time_s);
}

void Writer::flush() {
  const Cost cost(impl_->cost_s);
  impl_->flush();
}

void Writer::close() {
  const Cost cost(impl_->cost_s);
  impl_->close();
}

double Writer::cost_s() const { return impl_->cost_s; }

void write(const std::filesystem::path& file, const Run& run) {
  Writer writer(file, run.info, run.comm);
  for (const auto& step : run.steps) writer.step(step);
  writer.buckets(run.buckets);
  const auto ranks = static_cast<std::size_t>(run.info.world_size);
  for (std::size_t i = 0; i < run.rank_steps.size(); ++i)
    writer.rank_times(run.rank_steps[i], std::span(run.rank_step_time_s).subspan(i * ranks, ranks));
  writer.close();
}

}  // namespace gpumonth::runlog
