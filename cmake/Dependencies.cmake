# Every external library, found once. jobs/install.sh installs the Debian packages behind them.
include_guard()

set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
find_package(tomlplusplus QUIET)
if(NOT TARGET tomlplusplus::tomlplusplus)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
  add_library(tomlplusplus::tomlplusplus ALIAS PkgConfig::tomlplusplus)
endif()
find_package(Catch2 REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(ZLIB REQUIRED)  # crc32 of checkpoints; HDF5 brings it
find_package(Boost REQUIRED)  # headers of Boost.Math
find_package(Ceres REQUIRED)
# As SYSTEM includes: their headers do not pass our warnings.
add_library(gpumonth_statistics INTERFACE)
target_link_libraries(gpumonth_statistics INTERFACE Ceres::ceres Eigen3::Eigen Boost::headers)

if(GPUMONTH_TRAINER)
  find_package(MPI REQUIRED COMPONENTS C)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  find_package(dnnl REQUIRED)
  find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)
  add_library(gpumonth_random123 INTERFACE)
  target_include_directories(gpumonth_random123 SYSTEM INTERFACE ${RANDOM123_INCLUDE_DIR})
endif()

include(SimGrid)  # gpumonth_simgrid: gpumonth simulate
include(Png)      # PNG::PNG: contact sheets of gpumonth sample

if(GPUMONTH_HAVE_CUDA)
  find_package(CUDAToolkit 12.4 REQUIRED)
  include(Cudnn OPTIONAL)  # gpumonth_cudnn: fused attention; without it a plain one
  include(Nccl OPTIONAL)   # gpumonth_nccl
endif()
