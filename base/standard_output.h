// Text for standard output: cleaned, never the end of the work, and not lost in silence.
//
// A run of days must not end because the reader of its text went away: print() does not throw and does not
// raise SIGPIPE. What could not be written is remembered, and main asks with require_output() when the work is
// done: every command ends with exit code 2 then.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace gpumonth {

/// The first thing of main. Opens /dev/null as descriptor 0, 1 or 2 where that is closed, as some daemons and
/// cron wrappers leave it: the next file that is opened, a run log, would get its number and then the
/// program's text. Ignores SIGPIPE and SIGXFSZ, so that a closed pipe and a file at its size limit are errors
/// of a write.
void open_standard_streams();

/// Appends clean_text(text) to standard output; on a terminal at once, elsewhere in larger pieces.
void write_output(std::string_view text);
/// The same for text with escape sequences of ours: the caller has cleaned what came from elsewhere.
void write_output_raw(std::string_view text);

template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  write_output(fmt::format(format, std::forward<Args>(args)...));
}

void flush_output();

/// Whether a few lines can be written without waiting for who reads them. False where a pager has stopped
/// reading, or Ctrl-S has stopped a terminal: text that is out of date by then is better left out.
bool output_is_ready();

/// Flushes. Throws UserError where any text since the start could not be written, and says why.
void require_output();

}  // namespace gpumonth
