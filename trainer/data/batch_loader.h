// This rank's part of each step's batch. What one rank cannot load all ranks hear of, once they have done the step
// before.
#pragma once

#include <cstdint>
#include <string>

#include "comm/communicator.h"
#include "trainer/data/batch.h"
#include "trainer/data/data.h"
#include "trainer/run_config.h"

namespace gpumonth::trainer {

class BatchLoader {
 public:
  BatchLoader(const RunConfig& config, Dataset& dataset, comm::Communicator& ranks)
      : config_(config), dataset_(dataset), ranks_(ranks) {}

  /// Collective. UserError on all ranks where their datasets differ: copies on every host may.
  void require_same_dataset();
  /// Collective. UserError on all ranks where one of them cannot load its part.
  void load_first(std::int64_t step, Batch& batch);
  /// Fills `batch` with this rank's samples of `step`, timesteps and label dropout. A UserError is kept: see failed().
  void load(std::int64_t step, Batch& batch);

  bool failed() const { return !error_.empty(); }  ///< on this rank
  std::string error_of_ranks();                    ///< collective: the first rank's that has one

 private:
  const RunConfig& config_;
  Dataset& dataset_;
  comm::Communicator& ranks_;
  std::string error_;
};

}  // namespace gpumonth::trainer
