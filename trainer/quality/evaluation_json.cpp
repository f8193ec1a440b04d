#include "base/json.h"
#include "trainer/quality/evaluate.h"

namespace gpumonth::trainer {
namespace {

Json loss_json(const MeanLoss& loss) { return {{"loss", loss.loss}, {"standard_error", loss.standard_error}}; }

Json validation_json(const CheckpointQuality& q) {
  Json json = {{"samples", q.samples}};
  json.update(loss_json(q.validation));
  json["by_noise_level"] = Json::array();
  for (const NoiseLevel& level : q.validation.by_noise_level) {
    Json entry = {{"t_from", level.t_from}, {"t_to", level.t_to}};
    entry.update(loss_json(level));
    json["by_noise_level"].push_back(entry);
  }
  return json;
}

Json checkpoint_json(const CheckpointQuality& q, const std::string& weights) {
  return {{"checkpoint", q.run.checkpoint.string()},
          {"run", q.run.config.run.name},
          {"model", q.run.model_name},
          {"weights", weights},
          {"step", q.run.info.step},
          {"parameters", q.parameters},
          {"samples_seen", q.run.samples_seen()},
          {"tokens_seen", q.run.tokens_seen()},
          {"model_flops", q.run.model_flops()},
          {"validation", validation_json(q)},
          {"difference_from_first", loss_json(q.difference)}};
}

Json samples_json(const SampleQuality& q, Json& notes) {
  Json json = {{"file", q.file.string()},
               {"checkpoint", q.checkpoint.string()},
               {"checkpoint_crc32", q.checkpoint_crc32},
               {"sampler", q.sampler},
               {"steps", q.steps},
               {"guidance", q.guidance},
               {"count", q.count},
               {"frechet_distance", q.frechet.distance},
               {"frechet_low", q.frechet.low},
               {"frechet_high", q.frechet.high},
               {"frechet_floor", q.frechet.floor}};
  set_if_finite(json, "labels_read_right", q.labels_read_right, notes,
                "all of " + q.file.string() + " was sampled under the null label");
  return json;
}

}  // namespace

std::string to_json_text(const Evaluation& evaluation) {
  Json json = {{"checkpoints", Json::array()}, {"samples", Json::array()}};
  Json notes = evaluation.notes.empty() ? Json::array() : Json(evaluation.notes);
  for (const CheckpointQuality& q : evaluation.checkpoints)
    json["checkpoints"].push_back(checkpoint_json(q, evaluation.weights));
  for (const SampleQuality& q : evaluation.samples) json["samples"].push_back(samples_json(q, notes));
  if (!notes.empty()) json["notes"] = notes;
  return to_text(json);
}

}  // namespace gpumonth::trainer
