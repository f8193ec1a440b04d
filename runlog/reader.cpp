#include "runlog/reader.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runlog/schema.h"

namespace gpumonth::runlog {

namespace {

/// More than any training takes: what claims more is damaged, and would not fit in memory.
constexpr std::int64_t kMostRows = 100'000'000;
/// Rows are read in blocks that stay in the processor's caches while column after column is filled in.
constexpr std::int64_t kBlockRows = 16'384;

hdf5::Dataset open_column(const hdf5::File& file, const std::string& name, std::size_t rank, bool is_float) {
  if (!file.has(name)) {
    user_error("{}: run log without {}; it is damaged or another program wrote it", file.path(), name);
  }
  auto dataset = file.dataset(name);
  if (dataset.shape().size() != rank) {
    user_error("{}: {} has shape {} instead of {} dimension{}", file.path(), name, hdf5::to_string(dataset.shape()),
               rank, rank == 1 ? "" : "s");
  }
  if (is_float ? !dataset.is_float() : !dataset.is_integer()) {
    user_error("{}: holds another type than a gpumonth run log", dataset.name());
  }
  if (dataset.shape()[0] > kMostRows) {
    user_error("{}: has {} rows, more than the {} that a run log may have", dataset.name(), dataset.shape()[0],
               kMostRows);
  }
  return dataset;
}

template <class Record>
bool holds_float(const Column<Record>& column) {
  return std::holds_alternative<double Record::*>(column.member);
}

/// The first value of a block that its column does not allow.
struct Misfit {
  std::size_t row = std::numeric_limits<std::size_t>::max(), column = 0;
  double value = 0;
};

/// Fills in one column of `records`, and keeps the earliest misfit.
template <class Record, class Value>
void read_column(const hdf5::Dataset& dataset, std::int64_t first, const Column<Record>& column, std::size_t place,
                 Value Record::*member, std::span<Record> records, Misfit& misfit) {
  using Stored = std::conditional_t<std::is_same_v<Value, Phase>, std::uint8_t, Value>;
  std::vector<Stored> values(records.size());
  dataset.read_rows(first, static_cast<std::int64_t>(values.size()), values.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    records[i].*member = static_cast<Value>(values[i]);
    const auto value = static_cast<double>(values[i]);
    if (i < misfit.row && !column.range.contains(value)) misfit = {i, place, value};
  }
}

template <class Record>
[[noreturn]] void refuse(const hdf5::File& file, const std::string& group, const Column<Record>& column,
                         std::int64_t row, const Record& record, double value) {
  std::string where = fmt::format("row {}", row);
  if constexpr (requires { record.step; })
    if (column.name != std::string("step")) where = fmt::format("step {}", record.step);
  user_error("{}: {}/{} of {} is {}, it must be from {:g} to {:g} {}: the log is damaged or another program wrote it",
             file.path(), group, column.name, where, number_text(value), column.range.low, column.range.high,
             column.unit);
}

/// Whether a column holds nothing but its fill value from this row on: a writer that was killed, or met a full disk,
/// between the table's new length and its values.
bool was_never_written(const hdf5::Dataset& column, std::int64_t row, std::int64_t rows) {
  std::vector<double> values(static_cast<std::size_t>(rows - row));
  column.read_rows(row, rows - row, values.data());
  return std::all_of(values.begin(), values.end(), [](double value) { return value == 0 || std::isnan(value); });
}

/// All columns of a table, cut to the shortest, and of a log that was not closed to the rows that were written in every
/// column: a killed writer may have got to only some of them. Throws UserError at the first other value that is out of
/// its column's range.
template <class Record>
std::vector<Record> read_table(const hdf5::File& file, const std::string& group,
                               std::span<const Column<Record>> columns, bool closed) {
  std::vector<hdf5::Dataset> datasets;
  std::int64_t rows = kMostRows;
  for (const auto& column : columns) {
    datasets.push_back(open_column(file, group + "/" + column.name, 1, holds_float(column)));
    rows = std::min(rows, datasets.back().shape()[0]);
  }
  std::vector<Record> records(static_cast<std::size_t>(rows));
  for (std::int64_t first = 0; first < rows; first += kBlockRows) {
    const auto block = std::span(records).subspan(static_cast<std::size_t>(first),
                                                  static_cast<std::size_t>(std::min(kBlockRows, rows - first)));
    Misfit misfit;
    for (std::size_t c = 0; c < columns.size(); ++c)
      std::visit([&](auto member) { read_column(datasets[c], first, columns[c], c, member, block, misfit); },
                 columns[c].member);
    if (misfit.row == std::numeric_limits<std::size_t>::max()) continue;
    const std::int64_t row = first + static_cast<std::int64_t>(misfit.row);
    if (!closed && was_never_written(datasets[misfit.column], row, rows)) {
      records.resize(static_cast<std::size_t>(row));
      break;
    }
    refuse(file, group, columns[misfit.column], row, block[misfit.row], misfit.value);
  }
  return records;
}

void read_ranks(const hdf5::File& file, Run& run) {
  const auto step = open_column(file, kRankStep, 1, false);
  const auto time = open_column(file, kRankStepTime, 2, true);
  if (time.shape()[1] != run.info.world_size) {
    user_error("{}: shape {} does not fit a run of {} ranks", time.name(), hdf5::to_string(time.shape()),
               run.info.world_size);
  }
  const std::int64_t rows = std::min(step.shape()[0], time.shape()[0]);
  if (rows == 0) return;
  const auto ranks = static_cast<std::size_t>(run.info.world_size);
  run.rank_steps.resize(static_cast<std::size_t>(rows));
  run.rank_step_time_s.resize(static_cast<std::size_t>(rows) * ranks);
  step.read_rows(0, rows, run.rank_steps.data());
  time.read_rows(0, rows, run.rank_step_time_s.data());
  // As in read_table(): rows that a writer which died gave their place and no values.
  const auto was_written = [&](std::size_t row) {
    const auto times = std::span(run.rank_step_time_s).subspan(row * ranks, ranks);
    return run.rank_steps[row] != 0 && !std::all_of(times.begin(), times.end(), [](float t) { return std::isnan(t); });
  };
  while (!run.clean_close && !run.rank_steps.empty() && !was_written(run.rank_steps.size() - 1)) {
    run.rank_steps.pop_back();
    run.rank_step_time_s.resize(run.rank_steps.size() * ranks);
  }
  for (std::size_t i = 0; i < run.rank_step_time_s.size(); ++i) {
    const auto seconds = static_cast<double>(run.rank_step_time_s[i]);
    if (!kRankStepTimeRange.contains(seconds))
      user_error("{} of step {} and rank {} is {}, it must be from {:g} to {:g} s: the log is damaged", time.name(),
                 run.rank_steps[i / ranks], i % ranks, number_text(seconds), kRankStepTimeRange.low,
                 kRankStepTimeRange.high);
  }
}

PowerColumns power_columns_of(const hdf5::File& file) {
  if (!file.has(kStepEnergy)) return PowerColumns::none;
  return file.has(kStepClockLimit) ? PowerColumns::all : PowerColumns::without_limit;
}

void check_order(const Run& run) {
  for (std::size_t i = 1; i < run.steps.size(); ++i) {
    const StepRecord &record = run.steps[i], &before = run.steps[i - 1];
    if (record.step <= before.step)
      user_error("{}: step {} follows step {}; the log is damaged", run.path, record.step, before.step);
    if (record.start_time_s < before.start_time_s)
      user_error("{}: start_time_s of step {} is {:g} s, before step {} at {:g} s; the log is damaged", run.path,
                 record.step, record.start_time_s, before.step, before.start_time_s);
  }
}

}  // namespace

Run read(const std::filesystem::path& path, Kind kind) {
  if (const auto log = path / "run.h5"; std::filesystem::exists(log))
    user_error("{}: a folder; its run log is {}", path.string(), log.string());
  const auto file = hdf5::File::open_growing(path);
  Run run;
  run.path = path.string();
  run.info = read_info(file);
  if (run.info.sampling && kind != Kind::any)
    user_error("{}: a log of gpumonth sample, whose steps are no training steps: give the run.h5 of a training run",
               file.path());
  if (run.info.sequence_share > 1 && kind != Kind::shares_too)
    user_error(
        "{}: one of {} ranks' share of each sample (run.sequence_parallel_emulated), no whole training: gpumonth report shows "
        "its times, replay and simulate add what is sent; give the log of a run of all ranks",
        file.path(), run.info.sequence_share);
  run.schema_version = kSchemaVersion;
  std::uint8_t clean = 0;
  open_column(file, kCleanClose, 1, false).read_rows(0, 1, &clean);
  run.clean_close = clean == 1;
  const OptionalColumns with{.power = power_columns_of(file),
                             .small_grad_norm = file.has(kStepSmallGradNorm),
                             .exchange = file.has(kStepExchange),
                             .gathers = run.info.gathers_weights};
  run.steps = read_table(file, kStepsGroup, step_columns(with), run.clean_close);
  run.buckets = read_table(file, kBucketsGroup, bucket_columns(), run.clean_close);
  if (file.has(kCommGroup)) {
    run.comm.rows = read_table(file, kCommGroup, comm_columns(), run.clean_close);
    run.comm.measured = file.text_attribute(kCommGroup, kCommMeasured);
    if (file.has_attribute(kCommGroup, kCommOperation))
      run.comm.operation = file.text_attribute(kCommGroup, kCommOperation);
  }
  read_ranks(file, run);
  check_order(run);
  return run;
}

}  // namespace gpumonth::runlog
