// Every MPI call is checked: `[rank 3/8 node07] MPI_Ibcast: <text> at comm/x.cpp:42 - hint`, then MPI_Abort.
#pragma once

#include <mpi.h>

namespace gpumonth::comm {

[[noreturn]] void report_mpi_error(int code, const char* call, const char* file, int line);

inline void check_mpi(int code, const char* call, const char* file, int line) {
  if (code != MPI_SUCCESS) report_mpi_error(code, call, file, line);
}

}  // namespace gpumonth::comm

// A macro, because the message names the call and the place.
#define GPUMONTH_MPI(function, ...) ::gpumonth::comm::check_mpi(function(__VA_ARGS__), #function, __FILE__, __LINE__)
