// Writes run.h5 while the run goes on: HDF5 latest format, SWMR, flushed at least every second, so that a
// kill -9 loses at most that second and other programs read it while it grows.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "runlog/record.h"

namespace gpumonth::runlog {

class Writer {
 public:
  /// Creates `file` (its folder must exist). Throws UserError where it exists or cannot be written.
  /// `comm`: a collective by size, where it was measured.
  Writer(const std::filesystem::path& file, const RunInfo& info, const CommSweep& comm = {});
  ~Writer();  ///< flushes and closes; never throws
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Buffers the record; writes and flushes when the step after next might end more than a second after the
  /// last flush. Throws UserError on a full disk.
  void step(const StepRecord& record);
  void buckets(std::span<const BucketRecord> records);
  /// Every rank's own busy time of one step, s, by rank.
  void rank_times(std::int64_t step, std::span<const float> step_time_s);
  void flush();
  /// Marks a clean end in the file, flushes and closes it.
  void close();
  /// Seconds this writer has spent in the calls above, for the < 0.5 % claim.
  double cost_s() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A run that exists in memory, whole. Throws UserError as Writer does.
void write(const std::filesystem::path& file, const Run& run);

}  // namespace gpumonth::runlog
