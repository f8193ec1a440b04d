#include "trainer/probe/probe.h"

#include <cmath>
#include <span>

#include "base/error.h"
#include "comm/host/host_transport.h"
#include "trainer/backend.h"
#include "trainer/probe/probe_io.h"
#include "trainer/run_config.h"

namespace gpumonth::trainer {

namespace {

/// Finite weights and inputs may still give numbers beyond what fp32 holds. `gradients` is empty of forward alone.
void require_finite(const ProbeOptions& options, const std::vector<double>& losses, const model::ParameterTable& table,
                    const std::vector<float>& gradients) {
  const std::string on = fmt::format("{} on {}", options.checkpoint.string(), options.batch.string());
  for (std::size_t i = 0; i < losses.size(); ++i)
    if (!std::isfinite(losses[i]))
      user_error("{}: the loss of sample {} is no finite number: weights or inputs are too large", on, i);
  if (gradients.empty()) return;
  for (const model::Parameter& p : table.all()) {
    const std::string bad =
        bad_value(std::span(gradients).subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.count)));
    if (!bad.empty()) user_error("{}: the gradient of {} holds {}: weights or inputs are too large", on, p.name, bad);
  }
}

}  // namespace

ProbeSummary probe(const model::ModelConfig& model, const ProbeOptions& options) {
  if (std::filesystem::exists(options.out))
    user_error("{} exists: remove it or choose another --out", options.out.string());
  const model::ParameterTable table(model);
  const ProbeBatch given = read_probe_batch(options.batch, model);
  const auto network = make_dit_model(choose_backend(options.backend, comm::SelfTransport()).name,
                                      {.model = model,
                                       .local_batch = given.size,
                                       .global_batch = given.size,
                                       .dtype = options.dtype,
                                       .threads = options.threads,
                                       .keep = options.forward_only ? Keep::nothing : Keep::activations},
                                      table);
  read_checkpoint(options.checkpoint, table, {.parameters = network->parameters()},
                  [&](const CheckpointInfo& info) { compare_model(options.checkpoint.string(), info, model); });
  network->parameters_changed();

  std::vector<double> losses;
  const Batch batch{given.x_start, given.y, given.t, given.noise, 0};
  const double sum = network->forward(batch, 1, &losses);
  std::vector<float> gradients;
  if (!options.forward_only) {
    network->backward();
    gradients = network->gradients();
  }
  require_finite(options, losses, table, gradients);
  ProbeResult result{
      network->prediction(), {losses.begin(), losses.end()}, options.forward_only ? nullptr : gradients.data()};
  write_probe_result(options.out, model, table, result);
  double square = 0;
  for (const float g : gradients) square += static_cast<double>(g) * g;
  return {given.size, sum / static_cast<double>(given.size), std::sqrt(square)};
}

model::ModelConfig model_of_checkpoint(const std::filesystem::path& checkpoint) {
  const CheckpointInfo info = read_checkpoint_info(checkpoint);
  if (info.config_toml.empty())
    user_error("{} carries no configuration: name its model with --model configs/models/....toml", checkpoint.string());
  const RunConfig run = parse_run(info.config_toml, checkpoint.string() + ":config_toml");
  model::validate(run.model);
  return run.model;
}

}  // namespace gpumonth::trainer
