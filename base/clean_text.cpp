#include "base/clean_text.h"

#include <algorithm>
#include <cstddef>

namespace gpumonth {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

unsigned char byte_at(std::string_view text, std::size_t i) { return static_cast<unsigned char>(text[i]); }

struct Sequence {
  char32_t character = 0;
  std::size_t bytes = 1;  ///< of an ill-formed sequence: its maximal subpart
  bool well_formed = false;
};

/// What the first byte asks for: how many bytes, and in which range the second one lies (Unicode, table 3-7).
/// 0 bytes: no sequence starts with it.
struct Lead {
  std::size_t bytes;
  unsigned char second_low, second_high;
};

Lead lead(unsigned char first) {
  if (first < 0x80) return {1, 0, 0};
  if (first < 0xC2) return {0, 0, 0};  // a continuation, or an overlong form
  if (first < 0xE0) return {2, 0x80, 0xBF};
  if (first == 0xE0) return {3, 0xA0, 0xBF};
  if (first == 0xED) return {3, 0x80, 0x9F};  // no surrogates
  if (first < 0xF0) return {3, 0x80, 0xBF};
  if (first == 0xF0) return {4, 0x90, 0xBF};
  if (first < 0xF4) return {4, 0x80, 0xBF};
  if (first == 0xF4) return {4, 0x80, 0x8F};  // up to U+10FFFF
  return {0, 0, 0};
}

Sequence sequence_at(std::string_view text, std::size_t begin) {
  const unsigned char first = byte_at(text, begin);
  const Lead expected = lead(first);
  if (expected.bytes == 0) return {};
  if (expected.bytes == 1) return {first, 1, true};
  char32_t character = first & (0xFFU >> (expected.bytes + 1));
  for (std::size_t i = 1; i < expected.bytes; ++i) {
    if (begin + i == text.size()) return {0, i, false};
    const unsigned char next = byte_at(text, begin + i);
    const unsigned char low = i == 1 ? expected.second_low : 0x80, high = i == 1 ? expected.second_high : 0xBF;
    if (next < low || next > high) return {0, i, false};
    character = (character << 6) | (next & 0x3FU);
  }
  return {character, expected.bytes, true};
}

bool is_shown(char32_t c) {
  if (c == '\t' || c == '\n') return true;
  const bool control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
  const bool separator = c == 0x2028 || c == 0x2029;
  const bool bidi =
      c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return !control && !separator && !bidi;
}

}  // namespace

std::string clean_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Sequence sequence = sequence_at(text, i);
    if (sequence.well_formed && is_shown(sequence.character))
      out += text.substr(i, sequence.bytes);
    else
      out += kReplacement;
    i += sequence.bytes;
  }
  return out;
}

std::string clean_line(std::string_view text) {
  std::string out = clean_text(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == '\t' || c == '\n'; }, ' ');
  return out;
}

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

}  // namespace gpumonth
