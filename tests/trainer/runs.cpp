#include "tests/trainer/runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/hdf5.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::tests {
namespace fs = std::filesystem;

fs::path write_run_file(const TemporaryFolder& folder, const std::string& more) {
  return folder.write("run.toml", fmt::format(R"([model]
input_size = 8
patch_size = 2
in_channels = 4
hidden_size = 48
depth = 2
num_heads = 2
num_classes = 10

[run]
directory = "{}"
steps = 10
backend = "cpu"
dtype = "fp32"
threads = 1

[batch]
global = 8

[optimizer]
learning_rate = 1e-3
warmup_steps = 3
weight_decay = 0.01
ema_decay = 0.9

[comm]
bucket_mib = 0.1
watchdog_s = 60

[log]
measure_gemm_peak = false
{})",
                                              (folder.path() / "out").string(), more));
}

fs::path write_latents(const TemporaryFolder& folder, std::int64_t samples, std::int64_t size,
                       const std::vector<std::int64_t>& broken) {
  const fs::path path = folder.path() / "latents.h5";
  auto file = hdf5::File::create(path);
  const std::int64_t sample = 4 * size * size;
  auto latents = random_values(samples * sample, 11);
  for (const std::int64_t row : broken) std::fill_n(latents.begin() + row * sample, sample, 3e38f);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < samples; ++i) labels.push_back(static_cast<std::int32_t>(i % 10));
  file.create_dataset<float>("/latents", {samples, 4, size, size}).write(latents.data());
  file.create_dataset<std::int32_t>("/labels", {samples}).write(labels.data());
  file.close();
  return path;
}

std::string train_command(int ranks, const fs::path& file, const std::vector<std::string>& overrides) {
  std::string command = fmt::format("{} train {}", GPUMONTH_BINARY, file.string());
  for (const std::string& override : overrides) command += fmt::format(" --set '{}'", override);
  return ranks > 0 ? mpirun(ranks, command) : command;
}

CommandResult train(int ranks, const fs::path& file, const std::vector<std::string>& overrides) {
  const std::string command = train_command(ranks, file, overrides);
  INFO(command);
  const CommandResult result = run_command(command);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return result;
}

std::vector<double> losses(const fs::path& log, std::int64_t first_step, std::size_t count) {
  const runlog::Run run = runlog::read(log);
  CHECK(run.clean_close);
  REQUIRE(run.steps.size() == count);
  std::vector<double> values;
  for (const auto& step : run.steps) {
    CHECK(step.step == first_step + static_cast<std::int64_t>(values.size()));
    values.push_back(step.loss);
  }
  return values;
}

Tensors read_tensors(const fs::path& path, const std::string& group) {
  const auto file = hdf5::File::open(path);
  Tensors tensors;
  for (const std::string& name : file.names(group)) {
    const auto dataset = file.dataset(group + "/" + name);
    std::vector<float> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
    dataset.read(values.data());
    tensors[name] = std::move(values);
  }
  return tensors;
}

double largest_distance(const Tensors& a, const Tensors& b) {
  double largest = 0;
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  for (const auto& [name, values] : b) {
    const auto other = a.find(name);
    if (other == a.end() || other->second.size() != values.size()) return std::numeric_limits<double>::infinity();
    const double distance = relative_distance(other->second, values);
    if (!(distance <= largest)) largest = distance;  // a NaN stays
  }
  return largest;
}

bool same_bits(const Tensors& a, const Tensors& b) {
  return a.size() == b.size() && std::all_of(b.begin(), b.end(), [&](const auto& tensor) {
           const auto other = a.find(tensor.first);
           return other != a.end() && same_bits(other->second, tensor.second);
         });
}

bool same_checkpoints(const fs::path& a, const fs::path& b) {
  bool same = true;
  for (const char* group : {"/model", "/ema", "/optimizer/exp_avg", "/optimizer/exp_avg_sq"}) {
    const Tensors tensors = read_tensors(a, group);
    same &= !tensors.empty() && same_bits(tensors, read_tensors(b, group));
  }
  return same;
}

void leave_out_key_biases(Tensors& tensors) {
  for (auto& [name, values] : tensors) {
    if (!name.ends_with("attn.qkv.bias")) continue;
    const auto third = static_cast<std::ptrdiff_t>(values.size() / 3);
    values.erase(values.begin() + third, values.begin() + 2 * third);
  }
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

void check_refused(const CommandResult& result, const std::vector<std::string>& parts, const fs::path& output) {
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK_THAT(result.err, contains("gpumonth: "));
  for (const std::string& part : parts) CHECK_THAT(result.err, contains(part));
  CHECK(names_in(output) == std::vector<std::string>{});
}

}  // namespace gpumonth::tests
