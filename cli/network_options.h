// --weights, --batch and where it computes: of the commands that run a checkpoint's network without training it.
#pragma once

#include "cli/commands.h"
#include "comm/transport.h"
#include "trainer/trained_network.h"

namespace gpumonth::cli {

void add_weights_option(Command command, trainer::NetworkOptions& options);
void add_network_options(Command command, trainer::NetworkOptions& options, comm::CommOptions& comm);

}  // namespace gpumonth::cli
