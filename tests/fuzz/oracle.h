// What the program may say.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gpumonth::fuzz {

/// A refusal says something. That it is one line without control characters is seen to where it leaves the program
/// (base/clean_text.h).
void check_message(const std::string& text);

/// No word of `text`, for a terminal or a page, is a number that is none ("nan", "-inf", INT64_MAX), unless `input` has
/// that word too: a run may be called "inf".
void check_text(const std::string& text, const std::string& input);

/// JSON that a program can rely on: check_text(), it parses, and no number in it is null.
void check_json(const std::string& text, const std::string& input);
void check_json(const nlohmann::ordered_json& json, const std::string& input);

/// Throws Fault "<what> is nan" where the value is not finite.
void check_finite(double value, const char* what);

}  // namespace gpumonth::fuzz
