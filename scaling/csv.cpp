#include "scaling/csv.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

#include "base/error.h"
#include "base/number_text.h"

namespace gpumonth::scaling {
namespace {

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6)), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12)), put(0x80 | ((c >> 6) & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18)), put(0x80 | ((c >> 12) & 0x3F)), put(0x80 | ((c >> 6) & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

/// `bytes` without the mark; a half pair, or a byte too many, becomes U+FFFD.
std::string from_utf16(std::string_view bytes, bool big_endian) {
  const auto unit = [&](std::size_t i) {
    const auto first = static_cast<unsigned char>(bytes[i]), second = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<std::uint32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  std::string out;
  out.reserve(bytes.size() / 2);
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    std::uint32_t c = unit(i);
    if (c >= 0xD800 && c < 0xDC00 && i + 3 < bytes.size() && (unit(i + 2) & 0xFC00) == 0xDC00) {
      c = 0x10000 + ((c & 0x3FF) << 10) + (unit(i + 2) & 0x3FF);
      i += 2;
    }
    append_utf8(out, (c & 0xF800) == 0xD800 ? 0xFFFD : c);
  }
  if (bytes.size() % 2 != 0) append_utf8(out, 0xFFFD);
  return out;
}

/// Throws where the bytes are no text.
void check_is_text(std::string_view bytes, const std::string& name) {
  if (bytes.starts_with("PK\x03\x04"))
    user_error("{}: is a ZIP archive, as an .xlsx or .ods workbook is: export the sheet as CSV", name);
  if (bytes.starts_with("\xD0\xCF\x11\xE0")) user_error("{}: is an .xls workbook: export the sheet as CSV", name);
  if (bytes.starts_with("\x89HDF")) user_error("{}: is an HDF5 file, not a table: give run logs without --csv", name);
  if (bytes.starts_with("\x1F\x8B")) user_error("{}: is compressed by gzip: unpack it first", name);
  if (bytes.find('\0') != std::string_view::npos)
    user_error("{}: holds zero bytes, as UTF-16 without its mark or a binary file does: save it as CSV in UTF-8", name);
}

/// CR LF and CR become LF.
void unify_line_ends(std::string& text) {
  if (text.find('\r') == std::string::npos) return;
  std::size_t to = 0;
  for (std::size_t from = 0; from < text.size(); ++from) {
    if (text[from] == '\r' && from + 1 < text.size() && text[from + 1] == '\n') continue;
    text[to++] = text[from] == '\r' ? '\n' : text[from];
  }
  text.resize(to);
}

}  // namespace

bool CsvReader::next(std::vector<std::string_view>& fields, std::size_t& line) {
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

void CsvReader::skip_lines_without_data() {
  while (at_ < text_.size()) {
    const auto end = std::min(text_.find('\n', at_), text_.size());
    const auto content = trimmed(text_.substr(at_, end - at_));
    if (!content.empty() && content.front() != '#') return;
    at_ = std::min(end + 1, text_.size());
    ++line_;
  }
}

std::string_view CsvReader::blank() const { return separator_ == '\t' ? " " : " \t"; }

std::string_view CsvReader::field() {
  const auto start = text_.find_first_not_of(blank(), at_);
  if (start != std::string_view::npos && text_[start] == '"') return quoted(start + 1);
  if (separator_ == ' ' && start != std::string_view::npos) at_ = start;
  auto end = std::min(text_.find_first_of(ends_, at_), text_.size());
  const auto content = trimmed(text_.substr(at_, end - at_));
  // Blanks at the end of a line separate nothing.
  if (separator_ == ' ') end = std::min(text_.find_first_not_of(" \t", end), text_.size());
  at_ = separator_ == ' ' && end < text_.size() && text_[end] != '\n' ? end - 1 : end;
  return content;
}

std::string_view CsvReader::quoted(std::size_t start) {
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
  at_ = std::min(text_.find_first_of(ends_, end + 1), text_.size());
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

std::string plain_text(std::string bytes, const std::string& name) {
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF"))
    bytes = from_utf16(std::string_view(bytes).substr(2), bytes.starts_with("\xFE\xFF"));
  else if (bytes.starts_with("\xEF\xBB\xBF"))
    bytes.erase(0, 3);
  check_is_text(bytes, name);
  unify_line_ends(bytes);
  return bytes;
}

std::string csv_field(const std::string& text) {
  const bool has_edge = !text.empty() && trimmed(text).size() != text.size();
  if (!has_edge && text.find_first_of(",;\t\"\n\r#") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace gpumonth::scaling
