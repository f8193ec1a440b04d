// Built where libpng was not found.
#include <stdexcept>

#include "base/error.h"
#include "trainer/sample/picture.h"

namespace gpumonth::trainer {

void require_png() {
  user_error(
      "this gpumonth was built without libpng, which the contact sheet needs: install libpng-dev, then configure with "
      "-DGPUMONTH_PNG=ON and build again, or sample with --no-sheet");
}

std::string to_png(const Picture&) { throw std::logic_error("to_png() in a build without libpng"); }

}  // namespace gpumonth::trainer
