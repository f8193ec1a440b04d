#include "trainer/sample/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>

#include "base/crc32.h"
#include "base/error.h"
#include "base/standard_output.h"
#include "base/text_file.h"
#include "machine/power.h"
#include "runlog/writer.h"
#include "trainer/probe/probe.h"
#include "trainer/run_info.h"
#include "trainer/sample/contact_sheet.h"
#include "trainer/sample/labels.h"
#include "trainer/sample/samples_file.h"
#include "trainer/sample/sampling.h"
#include "trainer/shared_cores.h"
#include "trainer/state/resume.h"

namespace gpumonth::trainer {
namespace {

constexpr std::int64_t kSamplingWarmUp = 3;  ///< steps, of a process

const char* kind_of(const model::ModelConfig& model) { return model.is_video() ? "video" : "images"; }

/// Before its tensors are compared: what the shapes of patches say less well.
void require_same_kind(const SampleOptions& o, const CheckpointInfo& info, const model::ModelConfig& model) {
  if (info.config_toml.empty()) return;
  const model::ModelConfig trained = model_of_checkpoint(o.checkpoint);
  if (trained.is_video() != model.is_video())
    user_error("{} was trained on {}, and --model is a model of {}: leave --model out, or give that of its training",
               o.checkpoint.string(), kind_of(trained), kind_of(model));
}

/// A network that says noise and one that says samples have the same tensors.
void require_sampler(const SampleOptions& o, const CheckpointInfo& info) {
  const bool distilled = is_consistency_model(o.checkpoint.string(), info);
  if (distilled && o.sampler != Sampler::consistency)
    user_error("{} is a consistency model: sample it with --sampler consistency --steps 1, 2 or 4",
               o.checkpoint.string());
  if (!distilled && o.sampler == Sampler::consistency)
    user_error(
        "{} is no consistency model: sample it with --sampler ddpm or ddim, or distil one from it with gpumonth train and "
        "objective.kind = \"consistency\"",
        o.checkpoint.string());
  if (distilled && o.guidance != 1)
    user_error("{} has its teacher's guidance distilled in: leave --guidance out", o.checkpoint.string());
}

void require_null_label(const SampleOptions& o, const model::ModelConfig& model) {
  if (o.guidance != 1 && model.label_rows() == model.num_classes)
    user_error(
        "guidance {:g} needs a null label, and this model has none, it was trained with class_dropout_prob = 0: sample "
        "with --guidance 1",
        o.guidance);
}

/// Where everything goes, nothing of which may be there.
struct SampleFiles {
  explicit SampleFiles(const std::filesystem::path& folder)
      : samples(folder / "samples.h5"), sheet(folder / "samples.png"), log(folder / "run.h5") {}

  void require_new() const {
    for (const auto& file : {samples, sheet, log})
      if (std::filesystem::exists(file))
        user_error("{} exists: choose another folder with -o, or remove it", file.string());
    std::error_code error;
    std::filesystem::create_directories(samples.parent_path(), error);
    if (error) user_error("{}: cannot be made: {}", samples.parent_path().string(), error.message());
  }
  std::filesystem::path samples, sheet, log;
};

/// As far as sampling has one: what resolve() and the log ask.
RunConfig config_of(const SampleOptions& o, const model::ModelConfig& model, comm::Transport& transport) {
  RunConfig c;
  c.model = model;
  c.run.directory = o.directory;
  c.run.name = "sample";
  c.run.steps = o.steps;
  c.run.seed = o.seed;
  c.run.backend = o.backend;
  c.run.dtype = o.dtype;
  c.run.threads = o.threads;
  c.run.deterministic = true;  // the same samples on every GPU
  c.batch.global = o.batch * transport.ranks().size();
  c.comm.transport = transport.name();
  c.log.measure_gemm_peak = o.measure_gemm_peak;
  c.checkpoint.at_end = false;
  return c;
}

SamplingPlan plan_of(const SampleOptions& o, const model::ModelConfig& model) {
  require_null_label(o, model);
  SamplingPlan plan{.labels = sample_labels(o.labels, o.count, model),
                    .batch = o.batch,
                    .steps = reverse_steps(o.sampler, o.steps, model.learn_sigma),
                    .guidance = o.guidance};
  const std::int64_t all = plan.batches() * o.steps;
  plan.warm_up_steps = std::min(kSamplingWarmUp, all / 2);
  return plan;
}

/// Rank 0: the log, the meter, and a line now and then.
class SamplingLog {
 public:
  SamplingLog(const std::filesystem::path& file, runlog::RunInfo info, const ResolvedRun& resolved,
              const SamplingPlan& plan)
      : steps_(static_cast<std::int64_t>(plan.steps.size())),
        last_((plan.batches() + info.world_size - 1) / info.world_size * steps_) {
    if (!resolved.gpu.empty()) power_ = machine::PowerMeter::open(resolved.gpu);
    if (power_) info.power_source = power_->source();
    writer_.emplace(file, info);
  }

  void read_power(runlog::StepRecord& record) {
    if (!power_) return;
    const machine::PowerSample p = power_->sample();
    record.energy_j = p.energy_j;
    record.power_w = p.power_w;
    record.sm_clock_mhz = p.sm_clock_mhz;
    record.temperature_c = p.temperature_c;
    record.clock_limit = p.clock_limit;
  }

  void step(const runlog::StepRecord& record) {
    writer_->step(record);
    if (record.start_time_s < said_s_ + kEvery_s) return;
    said_s_ = record.start_time_s;
    print("step {} of {}, {:.1f} ms a step\n", record.step, last_, 1e3 * record.step_time_s);
    flush_output();
  }

  void round(std::int64_t first_step, const std::vector<float>& step_time_s) {
    const std::size_t ranks = step_time_s.size() / static_cast<std::size_t>(steps_);
    for (std::int64_t i = 0; i < steps_; ++i)
      writer_->rank_times(first_step + i, std::span(step_time_s).subspan(static_cast<std::size_t>(i) * ranks, ranks));
  }

  void close() { writer_->close(); }

 private:
  static constexpr double kEvery_s = 5;
  std::int64_t steps_, last_;
  double said_s_ = 0;
  std::unique_ptr<machine::PowerMeter> power_;
  std::optional<runlog::Writer> writer_;
};

void announce(const SampleOptions& o, const SamplingPlan& plan, const ResolvedRun& resolved,
              const runlog::RunInfo& info, const CheckpointInfo& checkpoint) {
  print("{} after step {}: {}; {}, {} of {} steps, {}\n", o.checkpoint.string(), checkpoint.step,
        o.weights == "ema" ? "EMA weights" : "plain weights", name(o.sampler), o.steps, ops::kDiffusionSteps,
        o.guidance != 1 ? fmt::format("guidance {:g} of the first {} channels", o.guidance, ops::kGuidedChannels)
                        : "no guidance");
  print("{} samples in {} batch{} of {}, {} rank{} x {} thread{}, {} on {}\n", plan.count(), plan.batches(),
        plan.batches() == 1 ? "" : "es", plan.batch, info.world_size, info.world_size == 1 ? "" : "s", resolved.threads,
        resolved.threads == 1 ? "" : "s", resolved.dtype, info.device_name);
  if (plan.batches() < info.world_size)
    print("note: {} of {} ranks have nothing to do: --batch {} would give each a share\n",
          info.world_size - plan.batches(), info.world_size, std::max<std::int64_t>(1, plan.count() / info.world_size));
  flush_output();
}

void write_results(const SampleOptions& o, const SamplingPlan& plan, const ResolvedRun& resolved,
                   const model::ModelConfig& model, const SampleFiles& files, const runlog::SamplingInfo& info,
                   const CheckpointInfo& checkpoint, const std::vector<float>& samples) {
  write_samples(files.samples, model,
                {.samples = samples,
                 .labels = plan.labels,
                 .seed = o.seed,
                 .sampler = info.sampler,
                 .steps = info.steps,
                 .guidance = info.guidance,
                 .checkpoint = info.checkpoint,
                 .checkpoint_crc32 = info.checkpoint_crc32,
                 .checkpoint_step = checkpoint.step,
                 .weights = o.weights,
                 .dtype = resolved.dtype});
  if (o.sheet) write_bytes_file(files.sheet, to_png(contact_sheet(samples, model)), false);
}

}  // namespace

SampleResult sample(const model::ModelConfig& model, const SampleOptions& o, comm::Transport& transport) {
  comm::Communicator& ranks = transport.ranks();
  const bool first = ranks.rank() == 0;
  if (o.sheet) require_png();
  const CheckpointInfo checkpoint = read_checkpoint_info(o.checkpoint);
  const SamplingPlan plan = plan_of(o, model);
  require_weights(o.checkpoint, checkpoint, o, "sample");
  require_sampler(o, checkpoint);
  require_same_kind(o, checkpoint, model);
  const RunConfig config = config_of(o, model, transport);
  const ResolvedRun resolved = resolve(config, transport);
  const SampleFiles files(resolved.directory);
  if (first) files.require_new();

  const model::ParameterTable table(model);
  const std::int64_t rows = o.batch * (o.guidance != 1 ? 2 : 1);
  const auto network = load_network(o.checkpoint, o.weights, rows, o.seed, model, resolved, table);
  runlog::RunInfo info = run_info(config, resolved, table, transport);
  info.start_time_unix_s = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  info.sampling = {name(o.sampler), o.steps, o.guidance, o.checkpoint.string(), ""};
  std::optional<SamplingLog> log;
  if (first) {
    info.sampling->checkpoint_crc32 = crc32_text(crc32_of_file(o.checkpoint));
    log.emplace(files.log, info, resolved, plan);
    announce(o, plan, resolved, info, checkpoint);
  }
  ranks.barrier();
  SharedCores shared_cores(resolved.backend == "cpu" ? resolved.threads : 1);
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<float> samples =
      run_sampling(plan, model, *network, ranks,
                   {.working =
                        [&](runlog::StepRecord& record) {
                          if (log) log->read_power(record);
                        },
                    .step =
                        [&](const runlog::StepRecord& record) {
                          if (log) log->step(record);
                          shared_cores.look();
                        },
                    .round = [&](std::int64_t at, const std::vector<float>& times) { log->round(at, times); }});
  SampleResult result{.samples = files.samples, .sheet = o.sheet ? files.sheet : "", .run_log = files.log};
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!first) return result;
  log->close();
  write_results(o, plan, resolved, model, files, *info.sampling, checkpoint, samples);
  return result;
}

}  // namespace gpumonth::trainer
