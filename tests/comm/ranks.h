#pragma once

#include "comm/communicator.h"

namespace gpumonth::tests {

/// All ranks of this test program.
comm::Communicator& ranks();

}  // namespace gpumonth::tests
