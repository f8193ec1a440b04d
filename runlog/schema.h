// The run log's datasets and attributes: the only code that knows their names. docs/runlog.md explains them.
#pragma once

#include <span>
#include <variant>

#include "base/hdf5.h"
#include "runlog/record.h"

namespace gpumonth::runlog {

constexpr const char* kStepsGroup = "/steps";
constexpr const char* kStepEnergy = "/steps/energy_j";                ///< in logs with a power meter, and three more
constexpr const char* kStepClockLimit = "/steps/clock_limit";         ///< in those since November 2026
constexpr const char* kStepSmallGradNorm = "/steps/small_grad_norm";  ///< in logs whose RunInfo::small_batch is above 0
constexpr const char* kStepExchange = "/steps/exchange_s";  ///< in logs whose RunInfo::sequence_ranks is above 1
constexpr const char* kStepGather = "/steps/gather_s";      ///< in logs with RunInfo::gathers_weights, and three more
constexpr const char* kBucketsGroup = "/buckets";
constexpr const char* kRanksGroup = "/ranks";
constexpr const char* kRankStep = "/ranks/step";             ///< (rows) int64
constexpr const char* kRankStepTime = "/ranks/step_time_s";  ///< (rows, world_size) float32, s
constexpr const char* kCommGroup = "/comm";                  ///< only in logs of `gpumonth comm`
constexpr const char* kCommMeasured = "measured";            ///< its attribute: CommSweep::measured
constexpr const char* kCommOperation = "operation";  ///< another; not in logs of all-reduces before there were others
constexpr const char* kCleanClose = "/clean_close";  ///< (1) uint8: 1 after a clean end

/// What a number may be: a log may come from another program, another machine, or a failing disk. The ends belong to
/// it.
struct Range {
  double low, high;
  bool or_nan = false;  ///< NaN stands for "unknown"

  bool contains(double value) const { return value == value ? low <= value && value <= high : or_nan; }
};

/// One column of a table: a dataset of one element per record.
template <class Record>
struct Column {
  const char* name;
  const char* unit;  ///< "1" for pure numbers
  const char* description;
  std::variant<std::int64_t Record::*, double Record::*, int Record::*, Phase Record::*> member;
  Range range;  ///< outside of it the reader refuses the log
};

enum class PowerColumns {
  none,           ///< of a run without a power meter
  without_limit,  ///< of logs before November 2026: all but clock_limit
  all
};
/// What not every log has.
struct OptionalColumns {
  PowerColumns power = PowerColumns::none;
  bool small_grad_norm = false;
  bool exchange = false;  ///< exchange_s and exchanged_bytes
  bool gathers = false;   ///< of weights
};
std::span<const Column<StepRecord>> step_columns(const OptionalColumns& with = {});
std::span<const Column<BucketRecord>> bucket_columns();
std::span<const Column<CommRecord>> comm_columns();
constexpr Range kRankStepTimeRange{0, 1e8};  ///< s, of kRankStepTime

/// "-3.5", or "not a finite number": for messages.
std::string number_text(double value);

/// The stored type of a member: int64, float64, int32, or the enumeration of phases.
hdf5::Handle column_type(std::int64_t);
hdf5::Handle column_type(double);
hdf5::Handle column_type(int);
hdf5::Handle column_type(Phase);

void write_info(hdf5::File& file, const RunInfo& info);
/// Throws UserError where the file is no run log, or one of another schema, and where an attribute is missing, of
/// another type, out of its range, or longer than any such text is.
RunInfo read_info(const hdf5::File& file);

}  // namespace gpumonth::runlog
