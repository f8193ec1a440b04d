// A run log's steps as operations of ranks: the one list from which every exported format is written (formats.h).
//
// Of rank 0 the log has every part of a step, and on sampled steps the timeline of its gradient buckets. Of another
// rank it has how long it was busy, and nothing else. So there are two lists: operations() is what is known, for
// pictures and tables; program() is what a simulator needs, in which another rank's parts are rank 0's, stretched to
// its busy time, and say so.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exchange/steps.h"
#include "runlog/record.h"

namespace gpumonth::exchange {

enum class Kind {
  data,
  forward,
  backward,  ///< in pieces: to when a bucket was ready
  wait,      ///< the step waited for communication
  optimizer,
  other,        ///< the rest of the step's wall time
  busy,         ///< data, forward, backward and optimizer of a rank that is not rank 0, together
  bucket_wait,  ///< a bucket was ready, and others were on the wire
  collective,   ///< a bucket on the wire
};
const char* name(Kind kind);  ///< "data", "forward", ..., "bucket waiting", "bucket on the wire"

/// How much of an operation the log holds.
enum class Source {
  measured,  ///< start and duration
  placed,    ///< the duration; the start is where such an operation mostly is
  scaled,    ///< neither: rank 0's, as long as this rank's busy time says
};
const char* name(Source source);        ///< "measured", "placed", "scaled"
const char* name(runlog::Phase phase);  ///< "warm_up", "steady", "checkpoint", as in the run log

struct Operation {
  int rank = 0;
  std::int64_t step = 0;
  Kind kind = Kind::other;
  int bucket = -1;         ///< of a piece of backward: the bucket that it makes ready; -1: none
  double start_s = 0;      ///< since RunInfo::start_time_unix_s
  double duration_s = 0;   ///< never negative
  std::int64_t bytes = 0;  ///< of a bucket, per rank
  Source source = Source::measured;

  double end_s() const { return start_s + duration_s; }
};

/// An operation of a program, and what has to be done before it: places in the same program.
struct ProgramOperation {
  Operation operation;
  std::vector<std::size_t> data;   ///< what it works on
  std::vector<std::size_t> order;  ///< what uses the same communicator before
};

enum class Reduction { all_reduce, reduce_scatter };

class Timeline {
 public:
  /// `run` must outlive it.
  Timeline(const runlog::Run& run, StepSelection selection);

  const runlog::Run& run() const { return run_; }
  const std::vector<const runlog::StepRecord*>& steps() const { return selection_.steps; }
  int ranks() const { return run_.info.world_size; }
  Reduction reduction() const { return reduction_; }  ///< what becomes of a bucket
  /// One line for each thing that the lists leave out or cannot know, for the reader.
  const std::vector<std::string>& notes() const { return notes_; }

  /// What the log knows of this rank in this step, in no order of time.
  std::vector<Operation> operations(const runlog::StepRecord& step, int rank) const;

  /// What the rank does in this step: computing in its order, each bucket behind the piece that makes it ready. Never
  /// empty; the last operation comes after all others. Waiting is not in it: that is what a simulator finds out.
  std::vector<ProgramOperation> program(const runlog::StepRecord& step, int rank) const;

 private:
  std::vector<Operation> compute_of_rank_0(const runlog::StepRecord& step) const;
  void add_buckets(const runlog::StepRecord& step, std::vector<Operation>& list) const;
  const std::vector<runlog::BucketRecord>& buckets(const runlog::StepRecord& step) const;
  double busy_s(const runlog::StepRecord& step, int rank) const;  ///< NaN: not in the log
  double stretch(const runlog::StepRecord& step, int rank) const;
  void find_notes();

  const runlog::Run& run_;
  StepSelection selection_;
  Reduction reduction_;
  std::map<std::int64_t, std::vector<runlog::BucketRecord>> buckets_;  ///< by step; times since the step's start
  std::map<std::int64_t, std::size_t> rank_rows_;                      ///< by step: the row of rank_step_time_s
  std::vector<std::string> notes_;
};

}  // namespace gpumonth::exchange
