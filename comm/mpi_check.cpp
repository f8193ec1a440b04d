#include "comm/mpi_check.h"

#include <fmt/format.h>

#include <cstring>
#include <string>

#include "comm/abort.h"

namespace gpumonth::comm {
namespace {

const char* hint(int error_class) {
  switch (error_class) {
    case MPI_ERR_TRUNCATE: return "ranks called different collectives or sizes: the same program and config on all?";
    case MPI_ERR_NO_MEM: return "out of memory: fewer ranks per host or a smaller model";
    case MPI_ERR_COMM:
    case MPI_ERR_ARG:
    case MPI_ERR_COUNT: return "a fault of gpumonth: please report it";
    default: return "look for a rank or host that ended first, and check the network with `gpumonth doctor`";
  }
}

}  // namespace

void report_mpi_error(int code, const char* call, const char* file, int line) {
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0, error_class = MPI_ERR_OTHER;
  MPI_Error_string(code, text, &length);
  MPI_Error_class(code, &error_class);
  const char* base = std::strstr(file, "comm/");
  abort_job(
      fmt::format("{}{}: {} at {}:{} - {}", rank_prefix(), call, text, base ? base : file, line, hint(error_class)), 1);
}

}  // namespace gpumonth::comm
