#include "scaling/measured_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <sstream>

#include "base/number_text.h"

namespace gpumonth::scaling {
namespace {

/// The lines `key = value` of one table, without comments.
std::map<std::string, std::string> keys_of(const std::string& config_toml, const std::string& table) {
  std::map<std::string, std::string> keys;
  std::istringstream lines(config_toml);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const auto content = trimmed(std::string_view(line).substr(0, line.find('#')));
    if (content.starts_with("[")) inside = content == table;
    const auto equals = content.find('=');
    if (inside && equals != content.npos)
      keys[std::string(trimmed(content.substr(0, equals)))] = trimmed(content.substr(equals + 1));
  }
  return keys;
}

/// What a step computes: distillation has passes of a teacher in it, twice as many where that is guided.
std::string objective_of(const std::string& config_toml) {
  auto keys = keys_of(config_toml, "[objective]");
  std::string kind = keys["kind"];
  std::erase(kind, '"');
  if (kind.empty() || kind == "diffusion") return "diffusion";
  return fmt::format("{}, guidance {}", kind, keys["guidance"]);
}

/// Sums of whole numbers below 2^53 are exact, so that equal models have equal ratios; steps of different shapes may
/// not.
bool same_number(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(a, b); }

/// Over all runs: which runs they are matters less than how much was left out.
std::string all_left_out(const std::vector<std::string>& names, const std::vector<runlog::Summary>& summaries) {
  runlog::Summary all;
  for (const auto& s : summaries) {
    all.steps += s.steps;
    all.time_s += s.time_s;
    for (const auto phase : {&runlog::Summary::warm_up, &runlog::Summary::checkpoint}) {
      (all.*phase).steps += (s.*phase).steps;
      (all.*phase).time_s += (s.*phase).time_s;
    }
  }
  const std::string text = runlog::left_out_text(all);
  if (text.empty()) return "";
  return fmt::format("{}: {}",
                     names.size() == 1 ? names.front() : fmt::format("steps of the {} run logs", names.size()), text);
}

}  // namespace

RunFacts facts_of(std::span<const runlog::Run> logs) {
  const auto& i = logs.front().info;
  RunFacts facts{i.model_name,
                 i.dtype,
                 i.backend,
                 i.transport,
                 i.device_name,
                 i.parameters,
                 0,
                 i.threads_per_rank,
                 std::max(i.sequence_ranks, i.sequence_share),
                 keys_of(i.config_toml, "[model]"),
                 objective_of(i.config_toml)};
  double tokens = 0, samples = 0;
  for (const auto& log : logs)
    for (const auto& step : log.steps) {
      tokens += static_cast<double>(step.tokens);
      samples += static_cast<double>(step.samples);
    }
  if (samples > 0) facts.tokens_per_sample = tokens / samples;
  return facts;
}

RunFacts facts_of(const runlog::Run& log) { return facts_of({&log, 1}); }

std::optional<Difference> model_difference(const RunFacts& a, const RunFacts& b) {
  if (a.model_name != b.model_name) return Difference{"the model", a.model_name, b.model_name};
  if (a.parameters != b.parameters)
    return Difference{"the number of parameters", std::to_string(a.parameters), std::to_string(b.parameters)};
  const bool known = a.tokens_per_sample > 0 && b.tokens_per_sample > 0;
  if (known && !same_number(a.tokens_per_sample, b.tokens_per_sample))
    return Difference{"the number of tokens in a sample", fmt::format("{:g}", a.tokens_per_sample),
                      fmt::format("{:g}", b.tokens_per_sample)};
  for (const auto& [key, value] : a.model_keys)
    if (const auto found = b.model_keys.find(key); found != b.model_keys.end() && found->second != value)
      return Difference{"model." + key, value, found->second};
  return std::nullopt;
}

std::optional<Difference> difference(const RunFacts& a, const RunFacts& b) {
  if (auto found = model_difference(a, b)) return found;
  if (a.dtype != b.dtype) return Difference{"the compute type", a.dtype, b.dtype};
  if (a.objective != b.objective) return Difference{"the objective", a.objective, b.objective};
  if (a.backend != b.backend) return Difference{"the backend", a.backend, b.backend};
  if (a.device_name != b.device_name) return Difference{"the device", a.device_name, b.device_name};
  if (a.threads_per_rank != b.threads_per_rank)
    return Difference{"the number of threads per rank", std::to_string(a.threads_per_rank),
                      std::to_string(b.threads_per_rank)};
  if (a.sequence_ranks != b.sequence_ranks)
    return Difference{"the number of ranks that share a sample", std::to_string(a.sequence_ranks),
                      std::to_string(b.sequence_ranks)};
  return std::nullopt;
}

std::string to_text(const Difference& d) {
  return fmt::format("{} is '{}' in one and '{}' in the other", d.what, d.in_a, d.in_b);
}

std::string identity_of(const runlog::Run& log) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a over the step times' bits, a word at a time
  for (const auto& step : log.steps) hash = (hash ^ std::bit_cast<std::uint64_t>(step.step_time_s)) * 0x100000001b3;
  return fmt::format("{:.17g} {} {} {} {} {:x}", log.info.start_time_unix_s,
                     log.info.hostnames.empty() ? "" : log.info.hostnames.front(), log.info.world_size,
                     log.steps.empty() ? 0 : log.steps.front().step, log.steps.size(), hash);
}

std::string origins_note(const std::vector<std::string>& names, const std::vector<runlog::Origin>& origins) {
  std::vector<std::string> said;
  for (const auto& [origin, what] :
       {std::pair{runlog::Origin::replayed, "recorded compute, real communication"},
        std::pair{runlog::Origin::simulated, "recorded compute, simulated communication"}}) {
    std::string which;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (origins[i] == origin) which += (which.empty() ? "" : ", ") + names[i];
    if (!which.empty()) said.push_back(fmt::format("{} ({}): {}", name(origin), what, which));
  }
  if (said.empty()) return "";
  const std::string which = fmt::format("{}", fmt::join(said, "; "));
  if (names.size() == 1) return "the run was not measured; " + which;
  return fmt::format("not all of the {} runs were measured; {}", names.size(), which);
}

std::vector<std::string> reading_notes(const std::vector<std::string>& names,
                                       const std::vector<runlog::Summary>& summaries) {
  std::vector<std::string> notes;
  if (auto note = all_left_out(names, summaries); !note.empty()) notes.push_back(std::move(note));
  std::string batch_of, tokens;
  std::size_t batches = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto& s = summaries[i];
    if (s.slow_start.steps > 0) notes.push_back(fmt::format("{}: {}", names[i], runlog::slow_start_text(s)));
    if (s.steps == 0 || s.least_samples == s.most_samples) continue;
    if (batches++ == 0)
      batch_of = fmt::format("{}: the batch changes within the log, {} .. {} samples: its mean, {:.4g}, stands for it",
                             names[i], s.least_samples, s.most_samples, s.batch());
  }
  if (batches > 0) notes.push_back(batches == 1 ? batch_of : fmt::format("{}; so in {} more", batch_of, batches - 1));
  return notes;
}

}  // namespace gpumonth::scaling
