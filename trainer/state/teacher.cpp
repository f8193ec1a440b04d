#include "trainer/state/teacher.h"

#include "base/error.h"
#include "trainer/run_config.h"
#include "trainer/state/checkpoint.h"
#include "trainer/state/resume.h"

namespace gpumonth::trainer {
namespace {

void require_teacher(const RunConfig& config, const CheckpointInfo& info) {
  const std::string& file = config.objective.teacher;
  if (!info.has_ema)
    user_error(
        "{} has no EMA weights (/ema), which are what teaches: give a checkpoint of gpumonth train as objective.teacher",
        file);
  if (is_consistency_model(file, info))
    user_error(
        "{} is a consistency model itself: give the checkpoint that it was distilled from, or another one of the diffusion "
        "objective, as objective.teacher",
        file);
  compare_model(file, info, config.model, "this run has");
}

}  // namespace

std::shared_ptr<const ConsistencySetup> read_teacher(const RunConfig& config, const model::ParameterTable& table) {
  const RunConfig::Objective& o = config.objective;
  if (!o.distils()) return nullptr;
  if (o.guidance != 1 && config.model.label_rows() == config.model.num_classes)
    user_error(
        "objective.guidance = {:g} needs a null label, and this model has none, it has class_dropout_prob = 0: set "
        "objective.guidance = 1",
        o.guidance);
  const auto setup = std::make_shared<ConsistencySetup>();
  setup->guidance = o.guidance;
  setup->skip = o.skip;
  setup->metric = o.metric == "l2" ? ops::ConsistencyMetric::l2 : ops::ConsistencyMetric::pseudo_huber;
  require_teacher(config, read_checkpoint_info(o.teacher));
  setup->teacher.resize(static_cast<std::size_t>(table.flat_size()));
  read_checkpoint(o.teacher, table, {.ema = setup->teacher.data()});
  return setup;
}

}  // namespace gpumonth::trainer
