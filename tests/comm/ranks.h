#pragma once

#include "comm/transport.h"

namespace gpumonth::tests {

/// What all ranks of this test program are joined by.
comm::Transport& transport();
inline comm::Communicator& ranks() { return transport().ranks(); }

}  // namespace gpumonth::tests
