#include "machine/threads.h"

#include <omp.h>

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace gpumonth::machine {

int available_threads(int wanted) {
  omp_set_dynamic(0);
  int given = 1;
#pragma omp parallel num_threads(wanted)
#pragma omp master
  given = omp_get_num_threads();
  return given;
}

void require_threads(int wanted) {
  static thread_local int known = 1;  // where a team of so many was there once, it is there again
  if (wanted <= known) return;
  const int given = available_threads(wanted);
  if (given < wanted) {
    const char* limit = std::getenv("OMP_THREAD_LIMIT");
    user_error(
        "OpenMP gives {} of {} threads{}: set run.threads (or --threads) to {}, or unset OMP_THREAD_LIMIT and "
        "OMP_MAX_ACTIVE_LEVELS",
        given, wanted, limit != nullptr ? fmt::format(" (OMP_THREAD_LIMIT={})", limit) : "", given);
  }
  known = wanted;
}

}  // namespace gpumonth::machine
