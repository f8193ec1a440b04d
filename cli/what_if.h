// What `replay` and `simulate` may change of a recorded run, as options.
#pragma once

#include <string>

#include "cli/command.h"
#include "replay/what_if.h"

namespace gpumonth::cli {

/// Both outlive the command; `stragglers` becomes a text for set_stragglers.
void add_what_if_options(Command& command, replay::WhatIf& changes, std::string& stragglers);

}  // namespace gpumonth::cli
