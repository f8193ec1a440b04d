# gpumonth_simgrid: SimGrid 3.32 or newer (Debian and Ubuntu: libsimgrid-dev), GPUMONTH_HAVE_SIMGRID and
# GPUMONTH_SIMGRID_VERSION. Looked for below SIMGRID_ROOT (CMake or environment) and in the system. Optional.
include_guard()
set(GPUMONTH_HAVE_SIMGRID OFF)
if(NOT GPUMONTH_TRAINER OR GPUMONTH_SIMGRID STREQUAL "OFF")
  return()
endif()

find_path(SIMGRID_INCLUDE_DIR simgrid/s4u.hpp HINTS ${SIMGRID_ROOT} $ENV{SIMGRID_ROOT} PATH_SUFFIXES include)
find_library(SIMGRID_LIBRARY simgrid HINTS ${SIMGRID_ROOT} $ENV{SIMGRID_ROOT} PATH_SUFFIXES lib64 lib)
mark_as_advanced(SIMGRID_INCLUDE_DIR SIMGRID_LIBRARY)

if(SIMGRID_INCLUDE_DIR AND SIMGRID_LIBRARY)
  file(STRINGS ${SIMGRID_INCLUDE_DIR}/simgrid/version.h simgrid_lines REGEX "^#define SIMGRID_VERSION_(MAJOR|MINOR) ")
  string(REGEX REPLACE ".*VERSION_MAJOR ([0-9]+).*VERSION_MINOR ([0-9]+).*" "\\1.\\2" GPUMONTH_SIMGRID_VERSION
    "${simgrid_lines}")
  if(NOT GPUMONTH_SIMGRID_VERSION VERSION_LESS 3.32)
    set(GPUMONTH_HAVE_SIMGRID ON)
    add_library(gpumonth_simgrid INTERFACE)
    target_include_directories(gpumonth_simgrid SYSTEM INTERFACE ${SIMGRID_INCLUDE_DIR})
    target_link_libraries(gpumonth_simgrid INTERFACE ${SIMGRID_LIBRARY})
  else()
    message(STATUS "SimGrid ${GPUMONTH_SIMGRID_VERSION} in ${SIMGRID_INCLUDE_DIR} is too old (3.32 or newer): built without it")
  endif()
endif()
if(GPUMONTH_SIMGRID STREQUAL "ON" AND NOT GPUMONTH_HAVE_SIMGRID)
  message(FATAL_ERROR "GPUMONTH_SIMGRID=ON, but no SimGrid 3.32 or newer was found: install libsimgrid-dev or set SIMGRID_ROOT")
endif()
