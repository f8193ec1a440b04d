#include "comm/mpi_state.h"

#include <mpi.h>

namespace gpumonth::comm {

bool mpi_is_running() {
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized && !finalized;
}

}  // namespace gpumonth::comm
