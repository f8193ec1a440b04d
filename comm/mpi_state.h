// Whether MPI can be asked.
#pragma once

namespace gpumonth::comm {

/// MPI is initialised and not yet finalised.
bool mpi_is_running();

}  // namespace gpumonth::comm
