#include "scaling/throughput_unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <optional>
#include <vector>

namespace gpumonth::scaling {
namespace {

using Kind = ThroughputUnit::Kind;
using Words = std::vector<std::string>;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_one_of(const std::string& word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), lower(word)) != list.end();
}

/// Seconds in the unit of time that the word names; nothing where it names none.
std::optional<double> seconds_in(const std::string& word) {
  if (is_one_of(word, {"s", "sec", "secs", "second", "seconds"})) return 1;
  if (is_one_of(word, {"ms", "msec", "millisecond", "milliseconds"})) return 1e-3;
  if (is_one_of(word, {"us", "usec", "microsecond", "microseconds"})) return 1e-6;
  if (is_one_of(word, {"min", "mins", "minute", "minutes"})) return 60;
  if (is_one_of(word, {"h", "hr", "hrs", "hour", "hours"})) return 3600;
  if (is_one_of(word, {"d", "day", "days"})) return 86400;
  return std::nullopt;
}

bool is_rank(const std::string& word) {
  return is_one_of(word, {"gpu",  "gpus",  "rank", "ranks", "device", "devices", "dev",  "accelerator", "acc",
                          "chip", "chips", "core", "tpu",   "npu",    "gcd",     "xpu",  "process",     "worker",
                          "v100", "a100",  "h100", "h200",  "b200",   "gb200",   "l40s", "mi250x",      "mi300x"});
}

bool is_several_ranks(const std::string& word) {
  return is_one_of(word, {"node", "nodes", "host", "server", "machine", "replica", "socket", "pod", "user"});
}

bool is_step(const std::string& word) {
  return is_one_of(word, {"1", "step", "steps", "it", "its", "iter", "iters", "iteration", "iterations", "batch",
                          "batches", "update", "updates"});
}

bool is_bytes(const std::string& word) {
  const std::string w = lower(word);
  if (is_one_of(w, {"gbps", "mbps", "kbps"})) return true;
  const auto base = w.find_first_not_of("kmgtpi");
  return base != std::string::npos && is_one_of(w.substr(base), {"b", "byte", "bytes", "bit", "bits"});
}

/// Rates whose name has no "/s".
std::string rate_name(const std::string& word) {
  const std::string w = lower(word);
  if (is_one_of(w, {"fps"})) return "frames/s";
  if (is_one_of(w, {"ips"})) return "images/s";
  if (is_one_of(w, {"tps", "tgs"})) return "tokens/s";
  const bool flops = w.ends_with("flops") && w.find_first_not_of("kmgtpe") + 5 == w.size();
  return flops ? word : "";
}

bool is_any(const Words& words, bool (*is)(const std::string&)) { return std::any_of(words.begin(), words.end(), is); }

bool is_time(const std::string& word) {
  return seconds_in(word).has_value() || is_one_of(word, {"time", "latency", "duration", "runtime"});
}

Words split(std::string_view text) {
  Words words(1);
  for (const char c : text)
    if (c != ' ')
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string joined(const Words& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// "_", "-", "*" and tabs are blanks, " per " and "^-1" are slashes.
std::string plain(std::string_view unit) {
  std::string text;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    if (unit.substr(i).starts_with("(per ")) {
      text += "( ";
    } else if (unit.substr(i).starts_with("^-1")) {  // "tokens s^-1": the word before it is what is divided by
      const auto word = text.find_last_of(" /") + 1;
      text.insert(word, 1, '/');
      i += 2;
    } else {
      text += std::string_view("_-*\t").find(unit[i]) != std::string_view::npos ? ' ' : unit[i];
    }
  }
  Words words = split(text);
  std::string out;
  for (const auto& word : words) {
    const bool per = is_one_of(word, {"per"});
    if (!out.empty() && !per && out.back() != '/') out += ' ';
    out += per ? "/" : word;
  }
  return out;
}

/// Numerator, then what it is divided by.
struct Parts {
  Words work, divisors;

  void add(const std::string& word, bool below) {
    // Of "/GPU tokens/s" only the first word is a divisor.
    const bool divides = below && (seconds_in(word) || is_rank(word) || is_several_ranks(word) || is_step(word) ||
                                   divisors.empty() || !work.empty());
    (divides ? divisors : work).push_back(word);
  }
  /// What stands in parentheses: "per GPU", "ms", "s GPU" below a slash. False: no unit, as in "(derived)".
  bool add_inside(const std::string& inside, bool below) {
    const bool slash = inside.starts_with('/');
    const Words words = split(slash ? std::string_view(inside).substr(1) : std::string_view(inside));
    if (!std::all_of(words.begin(), words.end(), [](const auto& w) { return seconds_in(w) || is_rank(w); }))
      return false;
    for (const auto& word : words) add(word, below || slash || is_rank(word));
    return true;
  }
};

Parts parts_of(std::string_view unit) {
  Parts parts;
  const std::string text = plain(unit);
  bool below = false;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) parts.add(word, below);
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '[') {
      const auto end = std::min(text.find_first_of(")]", i), text.size());
      const bool after_slash = i > 0 && text[i - 1] == '/';
      if (parts.add_inside(text.substr(i + 1, end - i - 1), after_slash))
        end_word();
      else if (!word.empty())
        word += text.substr(i, end + 1 - i);  // "sequences(2048 tok)"
      i = end;
    } else if (text[i] == '/' || text[i] == ' ') {
      end_word();
      below = below || text[i] == '/';
    } else {
      word += text[i];
    }
  }
  end_word();
  return parts;
}

/// Nothing is divided by a time.
ThroughputUnit without_divisor_in_time(const Parts& p) {
  ThroughputUnit unit;
  if (const std::string rate = rate_name(p.work.back()); !rate.empty()) {
    unit.total = rate;
    unit.kind = is_one_of(p.work.back(), {"tgs"}) || is_any(p.divisors, is_rank) ? Kind::per_rank : Kind::total;
    return unit;
  }
  if (is_any(p.work, is_bytes)) {
    unit.kind = Kind::bytes;
    return unit;
  }
  if (!is_any(p.work, is_time)) return unit;
  const bool of_a_step = is_any(p.divisors, is_step) || is_any(p.work, is_step);
  unit.kind = of_a_step ? Kind::step_time : Kind::time;
  for (const auto& word : p.work) unit.factor = seconds_in(word).value_or(unit.factor);
  return unit;
}

}  // namespace

ThroughputUnit parse_unit(std::string_view text) {
  Parts p = parts_of(text);
  if (p.work.size() > 1 && is_one_of(p.work[0], {"throughput", "speed"})) p.work.erase(p.work.begin());
  const auto time = std::find_if(p.divisors.begin(), p.divisors.end(), [](const auto& w) { return seconds_in(w); });
  ThroughputUnit unit;
  if (is_any(p.divisors, is_several_ranks) || p.work.empty()) return unit;
  if (time == p.divisors.end()) return without_divisor_in_time(p);
  unit.factor = 1 / *seconds_in(*time);
  if (is_any(p.work, is_bytes)) {
    unit.kind = Kind::bytes;
  } else if (p.work.size() == 1 && is_step(p.work[0])) {
    unit.kind = Kind::step_rate;
  } else {
    unit.kind = is_any(p.divisors, is_rank) ? Kind::per_rank : Kind::total;
    unit.total = joined(p.work) + "/s";
  }
  return unit;
}

bool is_throughput(std::string_view unit) {
  const auto parsed = parse_unit(unit);
  return parsed.kind == Kind::total && parsed.factor == 1;
}

std::string why_no_throughput(const std::string& unit) {
  if (is_throughput(unit)) return "";
  switch (parse_unit(unit).kind) {
    case Kind::total:
    case Kind::per_rank:
      return fmt::format("its unit {} is not one of all ranks and a second: give the total, in {}", unit,
                         parse_unit(unit).total);
    case Kind::step_rate:
    case Kind::step_time:
      return fmt::format("its unit {} counts steps: give samples/s, or the batch of every row as batch_per_rank too",
                         unit);
    case Kind::time:
      return fmt::format("its unit {} is a time, of which less is better: give the throughput, as in samples/s", unit);
    case Kind::bytes: return fmt::format("its unit {} is a bandwidth and no throughput: give samples/s", unit);
    case Kind::other: break;
  }
  return fmt::format("its unit {} is no throughput of all ranks: give samples/s, tokens/s or the like", unit);
}

}  // namespace gpumonth::scaling
