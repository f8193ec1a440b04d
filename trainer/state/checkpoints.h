// The run's folder: which checkpoint to write, keep and go on from, and where the log goes.
#pragma once

#include <filesystem>
#include <string>

#include "comm/communicator.h"
#include "model/parameters.h"
#include "trainer/state/resumable_state.h"
#include "trainer/state/resume.h"

namespace gpumonth::trainer {

class Checkpoints {
 public:
  /// `run`: what goes into every checkpoint, and what one that is restored is compared with.
  Checkpoints(const std::filesystem::path& directory, std::int64_t keep, const model::ModelConfig& model,
              const model::ParameterTable& table, comm::Communicator& communicator, std::uint64_t seed,
              ResumingRun run);

  /// Loads `file` into `state` and returns the step after which it was written; 0 where `file` is empty. UserError:
  /// unreadable or damaged (checkpoint.h), of a run that this one cannot go on from (resume.h), or not before step
  /// `steps`.
  std::int64_t restore(const std::string& file, ResumableState& state, std::int64_t steps);
  const std::vector<std::string>& notes() const { return notes_; }  ///< what is different from the restored one's run
  /// Collective. Compares the replicas' checksums (a difference ends the run), then rank 0 writes
  /// checkpoint-<step>.h5 and removes all but the newest `keep` of this process. UserError where the state is none to
  /// go on from.
  void save(ResumableState& state, std::int64_t after_step);
  /// Newest file that was written, or read and found good; empty: none.
  const std::string& last() const { return last_; }
  std::string last_in_words() const;  ///< "the last good checkpoint is out/checkpoint-20.h5"

  /// run.h5 for a fresh start, run-from-<step>.h5 for a resumed one. Rank 0 makes the folder. UserError where the log
  /// exists or the folder cannot be made.
  std::string make_log_path(std::int64_t start) const;

 private:
  void compare_replicas(ResumableState& state, std::int64_t after_step);
  std::filesystem::path directory_;
  std::int64_t keep_;
  const model::ModelConfig& model_;
  const model::ParameterTable& table_;
  comm::Communicator& comm_;
  std::uint64_t seed_;
  ResumingRun run_;
  std::string last_;
  std::vector<std::string> notes_;
  std::vector<std::filesystem::path> written_;
};

/// 64-bit checksum of n floats' bits.
std::uint64_t checksum(const float* values, std::int64_t n);

}  // namespace gpumonth::trainer
