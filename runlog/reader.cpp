#include "runlog/reader.h"
#include "runlog/warm_up.h"

#include <algorithm>
#include <cmath>

#include "runlog/schema.h"

namespace gpumonth::runlog {

namespace {

hdf5::Dataset open_column(const hdf5::File& file, const std::string& name, std::size_t rank) {
  if (!file.has(name)) {
    user_error("{}: run log without {}; it is damaged or another program wrote it", file.path(), name);
  }
  auto dataset = file.dataset(name);
  if (dataset.shape().size() != rank) {
    user_error("{}: {} has shape {} instead of {} dimension{}", file.path(), name,
               hdf5::to_string(dataset.shape()), rank, rank == 1 ? "" : "s");
  }
  return dataset;
}

template <class Record, class Value>
void read_column(const hdf5::Dataset& dataset, Value Record::*member, std::vector<Record>& records) {
  using Stored = std::conditional_t<std::is_same_v<Value, Phase>, std::uint8_t, Value>;
  if (std::is_floating_point_v<Value> ? !dataset.is_float() : !dataset.is_integer()) {
    user_error("{}: holds another type than a gpumonth run log", dataset.name());
  }
  std::vector<Stored> values(records.size());
  if (!values.empty()) dataset.read_rows(0, static_cast<std::int64_t>(values.size()), values.data());
  for (std::size_t i = 0; i < values.size(); ++i) records[i].*member = static_cast<Value>(values[i]);
}

/// All columns of a table, cut to the shortest: a killed writer may have got to only some of them.
template <class Record>
std::vector<Record> read_table(const hdf5::File& file, const std::string& group,
                               std::span<const Column<Record>> columns) {
  std::vector<hdf5::Dataset> datasets;
  std::int64_t rows = std::numeric_limits<std::int64_t>::max();
  for (const auto& column : columns) {
    datasets.push_back(open_column(file, group + "/" + column.name, 1));
    rows = std::min(rows, datasets.back().shape()[0]);
  }
  std::vector<Record> records(static_cast<std::size_t>(rows));
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::visit([&](auto member) { read_column(datasets[c], member, records); }, columns[c].member);
  }
  return records;
}

void read_ranks(const hdf5::File& file, Run& run) {
  const auto step = open_column(file, kRankStep, 1);
  const auto time = open_column(file, kRankStepTime, 2);
  if (time.shape()[1] != run.info.world_size) {
    user_error("{}: shape {} does not fit a run of {} ranks", time.name(), hdf5::to_string(time.shape()),
               run.info.world_size);
  }
  const std::int64_t rows = std::min(step.shape()[0], time.shape()[0]);
  if (rows == 0) return;
  run.rank_steps.resize(static_cast<std::size_t>(rows));
  run.rank_step_time_s.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(run.info.world_size));
  step.read_rows(0, rows, run.rank_steps.data());
  time.read_rows(0, rows, run.rank_step_time_s.data());
}

void check_steps(const Run& run) {
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    const auto& record = run.steps[i];
    if (record.phase > Phase::checkpoint) {
      user_error("{}: step {} has phase {}, which is none", run.path, record.step,
                 static_cast<int>(record.phase));
    }
    if (i > 0 && record.step <= run.steps[i - 1].step) {
      user_error("{}: step {} follows step {}; the log is damaged", run.path, record.step,
                 run.steps[i - 1].step);
    }
  }
}

}  // namespace

Run read(const std::filesystem::path& path) {
  const auto file = hdf5::File::open_growing(path);
  Run run;
  run.path = path.string();
  run.info = read_info(file);
  run.schema_version = kSchemaVersion;
  if (run.info.world_size < 1)
    user_error("{}: world_size is {}; the log is damaged", run.path, run.info.world_size);
  run.steps = read_table(file, kStepsGroup, step_columns(file.has(kStepEnergy)));
  run.buckets = read_table(file, kBucketsGroup, bucket_columns());
  if (file.has(kCommGroup)) {
    run.comm.rows = read_table(file, kCommGroup, comm_columns());
    run.comm.measured = file.text_attribute(kCommGroup, kCommMeasured);
  }
  read_ranks(file, run);
  std::uint8_t clean = 0;
  open_column(file, kCleanClose, 1).read_rows(0, 1, &clean);
  run.clean_close = clean == 1;
  check_steps(run);
  return run;
}

std::vector<StepRecord> Run::steady() const {
  std::vector<StepRecord> out;
  std::copy_if(steps.begin(), steps.end(), std::back_inserter(out),
               [](const StepRecord& record) { return record.phase == Phase::steady; });
  std::vector<double> times_s;
  for (const StepRecord& record : out) times_s.push_back(record.step_time_s);
  out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(warm_up_length(times_s)));
  return out;
}

}  // namespace gpumonth::runlog
