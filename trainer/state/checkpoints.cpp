#include "trainer/state/checkpoints.h"

#include <fmt/format.h>

#include <cstring>

#include "base/error.h"
#include "model/positions.h"

namespace gpumonth::trainer {
namespace fs = std::filesystem;

Checkpoints::Checkpoints(const fs::path& directory, std::int64_t keep, const model::ModelConfig& model,
                         const model::ParameterTable& table, comm::Communicator& communicator, std::uint64_t seed,
                         ResumingRun run)
    : directory_(directory), keep_(keep), model_(model), table_(table), comm_(communicator), seed_(seed),
      run_(std::move(run)) {}

std::int64_t Checkpoints::restore(const std::string& file, ResumableState& state, std::int64_t steps) {
  if (file.empty()) return 0;
  const auto accept = [&](const CheckpointInfo& info) {
    if (info.seed.value_or(seed_) != seed_)
      user_error("{} was written with run.seed = {}, this run has {}: set run.seed = {} so that the samples go on",
                 file, *info.seed, seed_, *info.seed);
    if (info.step >= steps)
      user_error("{} was written after step {}, and run.steps = {} counts these too: set run.steps higher to go on",
                 file, info.step, steps);
    notes_ = compare_with_checkpoint(file, info, run_);
  };
  const std::unique_ptr<StateValues> values =
      state.owned() ? state.values() : std::make_unique<WholeState>(TrainingState{});
  const CheckpointInfo info = read_checkpoint(file, table_, *values, accept);
  state.changed();
  last_ = file;
  return info.step;
}

std::string Checkpoints::last_in_words() const {
  return last_.empty() ? "no checkpoint had been written" : "the last good checkpoint is " + last_;
}

std::uint64_t checksum(const float* values, std::int64_t n) {
  std::uint64_t sum = 0x9e3779b97f4a7c15ull;
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    sum = (sum ^ bits) * 0x100000001b3ull;
  }
  return sum;
}

void Checkpoints::compare_replicas(ResumableState& state, std::int64_t after_step) {
  if (comm_.size() == 1) return;
  // a rank that shares its state with an owner has nothing of its own to compare
  std::string mine;
  if (state.owned()) {
    const std::span<const float> weights = state.replica();
    mine = fmt::format("{:016x}", checksum(weights.data(), static_cast<std::int64_t>(weights.size())));
  }
  const auto all = comm_.all_gather(mine);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    const std::size_t other = rank % static_cast<std::size_t>(state.replica_ranks());
    if (!all[rank].empty() && all[rank] != all[other])
      comm_.abort(fmt::format("step {}: rank {}'s weights differ from rank {}'s (checksums {} and {}): replicas have "
                              "drifted apart; run `gpumonth doctor` under the same launcher to check the all-reduce",
                              after_step, rank, other, all[rank], all[other]),
                  1);
  }
}

void Checkpoints::save(ResumableState& state, std::int64_t after_step) {
  compare_replicas(state, after_step);
  const fs::path file = directory_ / fmt::format("checkpoint-{}.h5", after_step);
  const std::unique_ptr<StateValues> values = state.values();
  if (comm_.rank() == 0) {
    try {
      write_checkpoint(file, table_, *values, model::position_embedding(model_),
                       model::position_embedding_shape(model_), {after_step, seed_, run_.config_toml, run_.dataset});
    } catch (const UserError& error) {
      user_error("no checkpoint of step {}: {}; {}", after_step, error.what(), last_in_words());
    }
  } else {
    take_part_in_writing(table_, *values);
  }
  last_ = file.string();
  if (comm_.rank() != 0) return;
  written_.push_back(file);
  while (static_cast<std::int64_t>(written_.size()) > keep_) {
    std::error_code ignored;  // somebody else may have tidied up
    fs::remove(written_.front(), ignored);
    written_.erase(written_.begin());
  }
}

std::string Checkpoints::make_log_path(std::int64_t start) const {
  const fs::path file = directory_ / (start == 0 ? "run.h5" : fmt::format("run-from-{}.h5", start));
  if (comm_.rank() != 0) return file.string();
  if (fs::exists(file))
    user_error(
        "{} exists: choose another folder with --set run.directory=..., go on with --set run.resume=CHECKPOINT, "
        "or remove it",
        file.string());
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error)
    user_error("run.directory = {}: {}: choose a folder that can be written", directory_.string(), error.message());
  return file.string();
}

}  // namespace gpumonth::trainer
