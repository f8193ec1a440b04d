#include "report/quality.h"

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/text_file.h"

namespace gpumonth::report {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPngBegin = "\x89PNG\r\n\x1a\n";

/// One object of the file, whose fields are there and of their type.
struct QualityFields {
  const Json& object;
  const std::string& file;

  [[noreturn]] void refuse(const char* key) const {
    user_error("{}: '{}' is missing or of another type: give a file that gpumonth evaluate -o wrote", file, key);
  }
  const Json& field(const char* key, bool (Json::*is_type)() const noexcept) const {
    if (!object.is_object() || !object.contains(key) || !(object[key].*is_type)()) refuse(key);
    return object[key];
  }
  std::string text(const char* key) const { return field(key, &Json::is_string).get<std::string>(); }
  double number(const char* key) const { return field(key, &Json::is_number).get<double>(); }
  std::int64_t whole(const char* key) const {
    const double value = number(key);
    if (!(std::abs(value) < 0x1p53)) user_error("{}: '{}' is {:g}, no such count can be", file, key, value);
    return static_cast<std::int64_t>(value);
  }
  QualityFields below(const char* key) const { return {field(key, &Json::is_object), file}; }
  std::vector<QualityFields> list(const char* key) const {
    std::vector<QualityFields> entries;
    for (const Json& entry : field(key, &Json::is_array)) entries.push_back({entry, file});
    return entries;
  }
  LossWithError loss() const { return {number("loss"), number("standard_error")}; }
};

CheckpointQuality checkpoint_of(const QualityFields& f) {
  CheckpointQuality q;
  q.checkpoint = f.text("checkpoint");
  q.run = f.text("run");
  q.model = f.text("model");
  q.weights = f.text("weights");
  q.step = f.whole("step");
  q.parameters = f.whole("parameters");
  q.samples_seen = f.number("samples_seen");
  q.model_flops = f.number("model_flops");
  const QualityFields validation = f.below("validation");
  q.validation_samples = validation.whole("samples");
  q.validation = validation.loss();
  for (const QualityFields& level : validation.list("by_noise_level"))
    q.by_noise_level.push_back({level.loss(), level.number("t_from"), level.number("t_to")});
  q.difference_from_first = f.below("difference_from_first").loss();
  return q;
}

/// samples.png beside samples.h5; empty where there is none, or something else is called so.
std::string sheet_beside(const fs::path& samples, const fs::path& folder) {
  for (const fs::path& place : {samples, folder / samples}) {
    const std::string bytes = bytes_of_file(fs::path(place).replace_extension(".png"));
    if (bytes.starts_with(kPngBegin)) return bytes;
  }
  return "";
}

SampleQuality samples_of(const QualityFields& f, const fs::path& folder) {
  SampleQuality q;
  q.file = f.text("file");
  q.checkpoint = f.text("checkpoint");
  q.sampler = f.text("sampler");
  q.steps = f.whole("steps");
  q.count = f.whole("count");
  q.guidance = f.number("guidance");
  q.frechet_distance = f.number("frechet_distance");
  q.frechet_low = f.number("frechet_low");
  q.frechet_high = f.number("frechet_high");
  q.frechet_floor = f.number("frechet_floor");
  if (f.object.contains("labels_read_right")) q.labels_read_right = f.number("labels_read_right");
  q.sheet = sheet_beside(q.file, folder);
  return q;
}

}  // namespace

Quality read_quality(const fs::path& file) {
  const Json json = Json::parse(read_bytes(file), nullptr, false);
  const std::string name = file.string();
  if (!json.is_object()) user_error("{} is no JSON object: give a file that gpumonth evaluate -o wrote", name);
  const QualityFields fields{json, name};
  Quality quality;
  for (const QualityFields& f : fields.list("checkpoints")) quality.checkpoints.push_back(checkpoint_of(f));
  for (const QualityFields& f : fields.list("samples")) quality.samples.push_back(samples_of(f, file.parent_path()));
  return quality;
}

}  // namespace gpumonth::report
