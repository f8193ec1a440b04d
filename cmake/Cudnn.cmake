# cuDNN 9 and the header-only cudnn-frontend, for the fused attention. Looked for in this order:
#   cuDNN           CUDNN_ROOT (variable or environment), the CUDA Toolkit, the system, the PyPI wheel nvidia-cudnn-cu*
#                   of the active virtual environment; CUDNN_ROOT may name such a wheel's nvidia/cudnn as well
#   cudnn-frontend  CUDNN_FRONTEND_ROOT (likewise), build/deps/cudnn-frontend (jobs/install.sh), the system
#
# Defines the target gpumonth_cudnn (empty where one is missing), GPUMONTH_ATTENTION_SOURCES (in trainer/) and
# GPUMONTH_ATTENTION, one line for the summary.
include_guard()

file(GLOB wheel_roots $ENV{VIRTUAL_ENV}/lib/python3*/site-packages/nvidia/cudnn)
set(cudnn_roots ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT})
set(frontend_roots ${CUDNN_FRONTEND_ROOT} $ENV{CUDNN_FRONTEND_ROOT} ${PROJECT_SOURCE_DIR}/build/deps/cudnn-frontend)

# What an earlier configuration found may be gone.
foreach(found IN ITEMS CUDNN_INCLUDE_DIR CUDNN_LIBRARY CUDNN_FRONTEND_INCLUDE_DIR)
  if(${found} AND NOT EXISTS "${${found}}")
    unset(${found} CACHE)
  endif()
endforeach()

find_path(CUDNN_INCLUDE_DIR cudnn_version.h HINTS ${cudnn_roots} PATHS ${wheel_roots}
  PATH_SUFFIXES include include/${CMAKE_LIBRARY_ARCHITECTURE})
# Wheels have no libcudnn.so. The library beside the header comes first: two versions do not mix.
get_filename_component(cudnn_root "${CUDNN_INCLUDE_DIR}/.." ABSOLUTE)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 NAMES_PER_DIR HINTS ${cudnn_root} ${cudnn_roots} PATHS ${wheel_roots}
  PATH_SUFFIXES lib lib64 lib/${CMAKE_LIBRARY_ARCHITECTURE})
find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend_version.h HINTS ${frontend_roots} PATH_SUFFIXES include)

# header_version(variable header PREFIX_MAJOR PREFIX_MINOR PREFIX_PATCH): "9.19.0", or empty.
function(header_version variable header)
  set(numbers)
  if(EXISTS ${header})
    file(READ ${header} text)
    foreach(name IN LISTS ARGN)
      if(text MATCHES "#define ${name} +([0-9]+)")
        list(APPEND numbers ${CMAKE_MATCH_1})
      endif()
    endforeach()
  endif()
  string(JOIN "." numbers ${numbers})
  set(${variable} "${numbers}" PARENT_SCOPE)
endfunction()
header_version(cudnn_version "${CUDNN_INCLUDE_DIR}/cudnn_version.h" CUDNN_MAJOR CUDNN_MINOR CUDNN_PATCHLEVEL)
header_version(frontend_version "${CUDNN_FRONTEND_INCLUDE_DIR}/cudnn_frontend_version.h"
  CUDNN_FRONTEND_MAJOR_VERSION CUDNN_FRONTEND_MINOR_VERSION CUDNN_FRONTEND_PATCH_VERSION)

add_library(gpumonth_cudnn INTERFACE)
set(missing)
if(NOT cudnn_version OR NOT CUDNN_LIBRARY)
  list(APPEND missing "cuDNN 9 not found (CUDNN_ROOT names one)")
elseif(cudnn_version VERSION_LESS 9.0 OR NOT cudnn_version VERSION_LESS 10)
  list(APPEND missing "${CUDNN_INCLUDE_DIR} has cuDNN ${cudnn_version}, 9 is needed (CUDNN_ROOT)")
endif()
if(NOT frontend_version)
  list(APPEND missing "cudnn-frontend not found (jobs/install.sh fetches it, CUDNN_FRONTEND_ROOT names another)")
elseif(frontend_version VERSION_LESS 1.18)
  list(APPEND missing "${CUDNN_FRONTEND_INCLUDE_DIR} has cudnn-frontend ${frontend_version}, not 1.18")
endif()

if(missing)
  string(JOIN "; " missing ${missing})
  set(GPUMONTH_ATTENTION "whole heads on tensor cores, else plain kernels, several times slower in bf16: ${missing}")
  set(GPUMONTH_ATTENTION_SOURCES ops/cuda/attention.cpp ops/cuda/attention_cudnn_stub.cpp)
else()
  set(GPUMONTH_ATTENTION "cuDNN ${cudnn_version} through cudnn-frontend ${frontend_version}")
  set(GPUMONTH_ATTENTION_SOURCES ops/cuda/attention.cpp ops/cuda/attention_cudnn.cpp)
  target_include_directories(gpumonth_cudnn SYSTEM INTERFACE ${CUDNN_INCLUDE_DIR} ${CUDNN_FRONTEND_INCLUDE_DIR})
  target_link_libraries(gpumonth_cudnn INTERFACE ${CUDNN_LIBRARY})
endif()
message(STATUS "Attention on GPUs: ${GPUMONTH_ATTENTION}")
