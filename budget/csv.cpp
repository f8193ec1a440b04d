#include "budget/csv.h"

#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <system_error>

#include "base/error.h"

namespace gpumonth::budget {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// Reads rows one after the other; fields with "" inside are unescaped into `unescaped_`.
class Reader {
 public:
  Reader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  /// False at the end of the text.
  bool next(std::vector<std::string_view>& fields, std::size_t& line) {
    fields.clear();
    unescaped_.clear();
    skip_lines_without_data();
    if (at_ >= text_.size()) return false;
    line = line_;
    while (true) {
      fields.push_back(field());
      if (at_ >= text_.size()) return true;
      if (text_[at_++] == '\n') {
        ++line_;
        return true;
      }
    }
  }

 private:
  void skip_lines_without_data() {
    while (at_ < text_.size()) {
      const auto end = std::min(text_.find('\n', at_), text_.size());
      const auto content = trimmed(text_.substr(at_, end - at_));
      if (!content.empty() && content.front() != '#') return;
      at_ = std::min(end + 1, text_.size());
      ++line_;
    }
  }

  std::string_view field() {
    std::size_t start = text_.find_first_not_of(kBlank, at_);
    if (start != std::string_view::npos && text_[start] == '"') return quoted(start + 1);
    const auto end = std::min(text_.find_first_of(",\n", at_), text_.size());
    const auto content = trimmed(text_.substr(at_, end - at_));
    at_ = end;
    return content;
  }

  std::string_view quoted(std::size_t start) {
    const std::size_t first_line = line_;
    bool escaped = false;
    std::size_t end = start;
    for (;; ++end) {
      if (end >= text_.size())
        user_error("{}:{}: a field opens with a quote (\") that is never closed", name_, first_line);
      if (text_[end] == '\n') ++line_;
      if (text_[end] != '"') continue;
      if (end + 1 >= text_.size() || text_[end + 1] != '"') break;
      escaped = true;
      ++end;
    }
    at_ = std::min(text_.find_first_of(",\n", end + 1), text_.size());
    if (!trimmed(text_.substr(end + 1, at_ - end - 1)).empty())
      user_error("{}:{}: text after the closing quote of a field", name_, first_line);
    const auto content = text_.substr(start, end - start);
    if (!escaped) return content;
    std::string& plain = unescaped_.emplace_back();
    for (std::size_t i = 0; i < content.size(); ++i) {
      plain += content[i];
      if (content[i] == '"') ++i;
    }
    return plain;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0, line_ = 1;
  std::deque<std::string> unescaped_;  // of this row; a deque keeps their addresses
};

}  // namespace

void parse_csv(std::string_view text, const std::string& name, const CsvRow& row) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Reader reader(text, name);
  std::vector<std::string_view> fields;
  std::size_t line = 0;
  while (reader.next(fields, line)) row(fields, line);
}

std::string read_text(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) user_error("{}: is a folder, not a file", file.string());
  std::ifstream in(file, std::ios::binary);
  if (!in) user_error("{}: cannot be read: {}", file.string(), std::strerror(errno));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  if (in.bad()) user_error("{}: cannot be read: {}", file.string(), std::strerror(errno));
  return text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r#") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace gpumonth::budget
