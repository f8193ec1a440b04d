#include "trainer/state/checkpoint.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <map>
#include <set>

#include "base/hdf5.h"
#include "base/pending_file.h"
#include "trainer/state/checkpoint_values.h"

namespace gpumonth::trainer {

namespace {

constexpr const char* kModelGroup = "/model";
constexpr const char* kEmaGroup = "/ema";
constexpr const char* kPosEmbed = "pos_embed";
constexpr const char* kSecondMoments = "/optimizer/exp_avg_sq";
constexpr const char* kDatasetSamples = "dataset_samples";
constexpr const char* kDatasetContents = "dataset_contents";

/// A group that tensors are stored in.
struct Group {
  StateGroup group;
  const char* name;
  const char* content;

  std::string path(const model::Parameter& parameter) const { return std::string(name) + "/" + parameter.name; }
};

constexpr Group kGroups[] = {{StateGroup::parameters, kModelGroup, "weights"},
                             {StateGroup::ema, kEmaGroup, "EMA weights"},
                             {StateGroup::exp_avg, "/optimizer/exp_avg", "first Adam moments"},
                             {StateGroup::exp_avg_sq, kSecondMoments, "second Adam moments"}};

std::vector<Group> groups_of(const StateValues& state) {
  std::vector<Group> groups;
  std::copy_if(std::begin(kGroups), std::end(kGroups), std::back_inserter(groups),
               [&](const Group& group) { return state.has(group.group); });
  return groups;
}

std::int64_t bytes_to_write(const model::ParameterTable& table, std::size_t groups, std::size_t pos_embed,
                            const CheckpointInfo& info) {
  constexpr std::int64_t header = 1024;  // of a dataset, its link included
  const std::int64_t of_group =
      table.count() * static_cast<std::int64_t>(sizeof(float)) + static_cast<std::int64_t>(table.all().size()) * header;
  return 256 * 1024 + static_cast<std::int64_t>(pos_embed * sizeof(float) + info.config_toml.size()) +
         static_cast<std::int64_t>(groups) * of_group;
}

std::string bad_value_of(const Group& group, std::span<const float> values) {
  return trainer::bad_value(values, group.group == StateGroup::exp_avg_sq);
}

/// Of the tensor at `path`. UserError where a value is none that training can go on from.
std::string checksum_of(const Group& group, const std::string& path, std::span<const float> values) {
  const std::string bad = bad_value_of(group, values);
  if (!bad.empty()) user_error("{} holds {}", path, bad);
  return crc32(values);
}

void write_tensors(hdf5::File& file, const Group& group, const model::ParameterTable& table, StateValues& state) {
  constexpr std::int64_t kWorthAThread = 1 << 16;  // elements: of others starting one takes longer
  for (const auto& parameter : table.all()) {
    const std::span<const float> values(state.fetch(group.group, parameter.offset, parameter.count),
                                        static_cast<std::size_t>(parameter.count));
    const std::string path = group.path(parameter);
    // Beside the writing, which takes longer.
    auto sum = std::async(parameter.count < kWorthAThread ? std::launch::deferred : std::launch::async,
                          [&] { return checksum_of(group, path, values); });
    file.create_dataset<float>(path, parameter.shape).write(values.data());
    file.set_attribute(path, kChecksumAttribute, sum.get());
  }
}

void write_info(hdf5::File& file, const CheckpointInfo& info) {
  file.set_attribute("/", "step", info.step);
  if (info.seed) file.set_attribute("/", "seed", *info.seed);
  file.set_attribute("/", "config_toml", info.config_toml);
  if (info.dataset.samples > 0) file.set_attribute("/", kDatasetSamples, info.dataset.samples);
  if (!info.dataset.contents.empty()) file.set_attribute("/", kDatasetContents, info.dataset.contents);
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const model::ParameterTable& table, StateValues& state,
                      const std::vector<float>& pos_embed, const std::vector<std::int64_t>& pos_embed_shape,
                      const CheckpointInfo& info) {
  if (hdf5::element_count(pos_embed_shape) != static_cast<std::int64_t>(pos_embed.size())) {
    throw std::invalid_argument("write_checkpoint: pos_embed does not have the shape given");
  }
  hdf5::PendingFile pending(path, hdf5::PendingFile::Existing::replace);
  hdf5::File& file = pending.file();
  const auto groups = groups_of(state);
  file.reserve(bytes_to_write(table, groups.size(), pos_embed.size(), info));
  write_info(file, info);
  file.create_group("/optimizer");
  for (const auto& group : groups) {
    file.create_group(group.name);
    write_tensors(file, group, table, state);
  }
  if (state.has(StateGroup::parameters) && !pos_embed.empty()) {
    const std::string name = std::string(kModelGroup) + "/" + kPosEmbed;
    file.create_dataset<float>(name, pos_embed_shape).write(pos_embed.data());
    file.set_attribute(name, kChecksumAttribute, crc32(pos_embed));
    // The reference's EMA is a state_dict too: the same table under a second name loads with strict=True.
    if (state.has(StateGroup::ema)) file.hard_link(name, std::string(kEmaGroup) + "/" + kPosEmbed);
  }
  pending.commit();
}

void write_checkpoint(const std::filesystem::path& path, const model::ParameterTable& table, const TrainingState& state,
                      const std::vector<float>& pos_embed, const std::vector<std::int64_t>& pos_embed_shape,
                      const CheckpointInfo& info) {
  WholeState whole(state);
  write_checkpoint(path, table, whole, pos_embed, pos_embed_shape, info);
}

void take_part_in_writing(const model::ParameterTable& table, StateValues& state) {
  for (const auto& group : groups_of(state))
    for (const auto& parameter : table.all()) state.fetch(group.group, parameter.offset, parameter.count);
}

// ------------------------------------------------------------------------------------------------- reading

namespace {

using Shape = hdf5::Shape;

/// "; the file looks like DiT-XL/2: width 1152, depth 28, patch 2", from its tensors' names and shapes.
std::string describe_model(const hdf5::File& file, const std::set<std::string>& names) {
  const std::string patch = "x_embedder.proj.weight";
  if (!names.contains(patch)) return "; the file does not look like a DiT";
  const Shape shape = file.dataset(std::string(kModelGroup) + "/" + patch).shape();
  if (shape.size() != 4 && shape.size() != 5) return "; the file does not look like a DiT";
  std::set<std::string> blocks;
  for (const auto& name : names) {
    if (name.starts_with("blocks.")) blocks.insert(name.substr(0, name.find('.', 7)));
  }
  const auto width = shape[0];
  const auto depth = static_cast<std::int64_t>(blocks.size());
  const std::map<std::pair<std::int64_t, std::int64_t>, std::string> known = {
      {{384, 12}, "S"}, {{768, 12}, "B"}, {{1024, 24}, "L"}, {{1152, 28}, "XL"}};
  const auto size = known.find({width, depth});
  return fmt::format("; the file looks like {}width {}, depth {}, {} input channels, patch {}{}",
                     size == known.end() ? "" : fmt::format("DiT-{}/{}: ", size->second, shape.back()), width, depth,
                     shape[1], shape.back(), shape.size() == 5 ? fmt::format(", temporal patch {}", shape[2]) : "");
}

/// The optional pos_embed is (1, T, h). T is the resolution's, not the weights', so only the width is checked.
void check_pos_embed(const hdf5::Dataset& dataset, const model::ParameterTable& table) {
  const std::int64_t width = table.at("x_embedder.proj.bias").count;
  const Shape shape = dataset.shape();
  if (shape.size() != 3 || shape[0] != 1 || shape[2] != width) {
    user_error("{} has shape {}, the model needs (1, tokens, {})", dataset.name(), hdf5::to_string(shape), width);
  }
}

/// Every tensor of the table is there in its shape, and nothing else.
void check_group(const hdf5::File& file, const Group& group, const model::ParameterTable& table) {
  if (!file.has(group.name)) {
    user_error("{}: has no {} ({}); a file with /model alone gives weights only", file.path(), group.name,
               group.content);
  }
  const auto list = file.names(group.name);
  std::set<std::string> names(list.begin(), list.end());
  const std::string prefix = std::string(group.name) + "/";
  for (const auto& parameter : table.all()) {
    if (!names.contains(parameter.name)) {
      user_error("{}: {}{} {} is missing{}", file.path(), prefix, parameter.name, hdf5::to_string(parameter.shape),
                 describe_model(file, names));
    }
    const auto dataset = file.dataset(prefix + parameter.name);
    if (dataset.shape() != parameter.shape) {
      user_error("{} has shape {}, the model needs {}{}", dataset.name(), hdf5::to_string(dataset.shape()),
                 hdf5::to_string(parameter.shape), describe_model(file, names));
    }
    if (!dataset.is_float()) user_error("{} does not hold floating-point numbers", dataset.name());
  }
  std::set<std::string> extra = names;
  for (const auto& parameter : table.all()) extra.erase(parameter.name);
  if (extra.erase(kPosEmbed) > 0) check_pos_embed(file.dataset(prefix + kPosEmbed), table);
  if (!extra.empty()) {
    const auto shape = file.dataset(prefix + *extra.begin()).shape();
    user_error("{}: {}{} {} is no tensor of the model{}", file.path(), prefix, *extra.begin(), hdf5::to_string(shape),
               describe_model(file, names));
  }
}

CheckpointInfo read_info(const hdf5::File& file) {
  if (!file.has(kModelGroup)) {
    user_error("{}: HDF5, but not a checkpoint: it has no group /model", file.path());
  }
  CheckpointInfo info;
  if (file.has_attribute("/", "step")) info.step = file.attribute<std::int64_t>("/", "step");
  if (file.has_attribute("/", "seed")) info.seed = file.attribute<std::uint64_t>("/", "seed");
  if (file.has_attribute("/", "config_toml")) info.config_toml = file.text_attribute("/", "config_toml");
  if (file.has_attribute("/", kDatasetSamples))
    info.dataset.samples = file.attribute<std::int64_t>("/", kDatasetSamples);
  if (file.has_attribute("/", kDatasetContents)) info.dataset.contents = file.text_attribute("/", kDatasetContents);
  info.has_ema = file.has(kEmaGroup);
  if (info.step < 0) user_error("{}: its step is {}: the file is damaged", file.path(), info.step);
  return info;
}

/// The values of a dataset that was just read. What is not finite says more than a checksum, so it comes first.
void check_values(const hdf5::File& file, const Group& group, const std::string& dataset,
                  std::span<const float> values) {
  const std::string bad = bad_value_of(group, values);
  if (!bad.empty()) {
    user_error("{}: {} holds {}: training cannot go on from it; take an earlier checkpoint", file.path(), dataset, bad);
  }
  if (!file.has_attribute(dataset, kChecksumAttribute)) return;  // written by another program
  const std::string expected = file.text_attribute(dataset, kChecksumAttribute), found = crc32(values);
  if (found == expected) return;
  user_error(
      "{}: {} has the checksum {}, and {} when it was written: the file was damaged; take another copy or an "
      "earlier checkpoint (who changed it on purpose deletes the attribute '{}' of the dataset)",
      file.path(), dataset, found, expected, kChecksumAttribute);
}

void read_group(const hdf5::File& file, const Group& group, const model::ParameterTable& table, StateValues& state) {
  for (const auto& parameter : table.all()) {
    float* const room = state.room(group.group, parameter.offset, parameter.count);
    file.dataset(group.path(parameter)).read(room);
    check_values(file, group, group.path(parameter), {room, static_cast<std::size_t>(parameter.count)});
    state.store(group.group, parameter.offset, parameter.count);
  }
  const std::string pos_embed = std::string(group.name) + "/" + kPosEmbed;
  if (!file.has(pos_embed)) return;
  const auto dataset = file.dataset(pos_embed);
  std::vector<float> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  check_values(file, group, pos_embed, values);
}

}  // namespace

CheckpointInfo read_checkpoint(const std::filesystem::path& path, const model::ParameterTable& table,
                               StateValues& state, const std::function<void(const CheckpointInfo&)>& accept) {
  const auto file = hdf5::File::open(path);
  auto info = read_info(file);
  const auto groups = groups_of(state);
  // All comparisons come first: a buffer is never half filled from a file of another model.
  for (const auto& group : groups) check_group(file, group, table);
  if (accept) accept(info);
  for (const auto& group : groups) read_group(file, group, table, state);
  return info;
}

CheckpointInfo read_checkpoint(const std::filesystem::path& path, const model::ParameterTable& table,
                               const TrainingState& state, const std::function<void(const CheckpointInfo&)>& accept) {
  WholeState whole(state);
  return read_checkpoint(path, table, whole, accept);
}

CheckpointInfo read_checkpoint_info(const std::filesystem::path& path) { return read_info(hdf5::File::open(path)); }

}  // namespace gpumonth::trainer
