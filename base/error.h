// How the program ends when something is wrong.
//
// UserError: the user can mend it (a typo in a config, a missing file, a full disk). The command prints one
//   line, `gpumonth: <what is wrong, where, what to do>`, and exits with 2.
// Anything else that escapes (std::exception) is a fault of ours or of a library: exit 1.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace gpumonth {

struct UserError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws UserError with a formatted message: say what is wrong, where, and what to do.
template <class... Args>
[[noreturn]] void user_error(fmt::format_string<Args...> format, Args&&... args) {
  throw UserError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace gpumonth
