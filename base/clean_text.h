// Text that came from outside (paths, names and attributes of files, arguments) made safe to show.
//
// A file may hold an escape sequence that rewrites the terminal, a byte that makes a page invalid UTF-8, or a
// control that turns the reading order of a line around. Such text is cleaned where it leaves the program, not
// where it enters: standard output (standard_output.h), the last line on standard error, HTML, SVG and JSON.
#pragma once

#include <string>
#include <string_view>

namespace gpumonth {

/// Valid UTF-8 without controls. U+FFFD stands for each ill-formed sequence (one per maximal subpart: the
/// Unicode Standard, section 3.9, table 3-8), for each C0 control but tab and newline, DEL, each C1 control,
/// the line and paragraph separators, and each character with the property Bidi_Control (UAX #9).
std::string clean_text(std::string_view text);

/// The same in one line: tabs and newlines become spaces.
std::string clean_line(std::string_view text);

/// How many columns of a terminal `text`, clean and in one line, takes where every character is one wide.
std::size_t character_count(std::string_view text);

}  // namespace gpumonth
