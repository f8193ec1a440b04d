# gpumonth_library(name SOURCES ... LIBS ...): a static library of ours: warnings as errors, includes from the root.
# gpumonth_test(name SOURCES ... LIBS ... [LABELS ...] [RANKS n] [TIMEOUT s] [SUFFIX s] [ARGUMENTS ...]
#     [ENVIRONMENT A=B ...] [PROGRAM target]): a Catch2 program under CTest; RANKS n runs it as n ranks under mpirun.
#   SUFFIX: one more test of a program that is there already. PROGRAM: what GPUMONTH_BINARY is, gpumonth by default.
include_guard()
include(CMakeParseArguments)

function(gpumonth_compile_options target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion>
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${GPUMONTH_WERROR}>>:-Werror>
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra --expt-relaxed-constexpr -Werror=all-warnings>)
  if(NOT GPUMONTH_SANITIZE STREQUAL "OFF")
    set(sanitize -fsanitize=${GPUMONTH_SANITIZE} -fno-omit-frame-pointer)
    if(GPUMONTH_SANITIZE MATCHES "undefined")  # a double that an integer cannot hold is undefined, too
      list(APPEND sanitize -fsanitize=float-cast-overflow -fno-sanitize-recover=all)
    endif()
    target_compile_options(${target} PUBLIC "$<$<COMPILE_LANGUAGE:CXX>:${sanitize}>")
    target_link_options(${target} PUBLIC -fsanitize=${GPUMONTH_SANITIZE})
  endif()
endfunction()

# Remembers sources that need CUDA, whether they are built or not: tests/emulator runs them on the CPU.
function(gpumonth_cuda_sources)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  set_property(GLOBAL APPEND PROPERTY GPUMONTH_CUDA_SOURCES ${ARGN})
endfunction()

function(gpumonth_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  gpumonth_compile_options(${name})
  target_link_libraries(${name} PUBLIC ${A_LIBS})
endfunction()

function(gpumonth_test name)
  cmake_parse_arguments(A "" "RANKS;TIMEOUT;SUFFIX;PROGRAM" "SOURCES;LIBS;LABELS;ARGUMENTS;ENVIRONMENT" ${ARGN})
  if(NOT A_PROGRAM)
    set(A_PROGRAM gpumonth)
  endif()
  if(NOT TARGET ${name})
    add_executable(${name} ${A_SOURCES})
    gpumonth_compile_options(${name})
    target_link_libraries(${name} PRIVATE ${A_LIBS} gpumonth_catch)
    if(GPUMONTH_BUNDLE)  # started in the bundle's folder, on another machine
      set(places GPUMONTH_SOURCE_DIR="." GPUMONTH_BINARY="bin/gpumonth")
    else()
      set(places GPUMONTH_SOURCE_DIR="${PROJECT_SOURCE_DIR}" GPUMONTH_BINARY="$<TARGET_FILE:${A_PROGRAM}>")
    endif()
    target_compile_definitions(${name} PRIVATE ${places})
  endif()
  set(test_name ${name}${A_SUFFIX})
  set(command $<TARGET_FILE:${name}>)
  if(A_RANKS)
    set(test_name ${test_name}.ranks${A_RANKS})
    # Not MPIEXEC_EXECUTABLE: in a bundle's build that is the bundle's own, which CTest would not find.
    find_program(GPUMONTH_CTEST_MPIRUN NAMES mpirun mpiexec REQUIRED)
    set(command ${GPUMONTH_CTEST_MPIRUN} --oversubscribe --bind-to none -n ${A_RANKS} $<TARGET_FILE:${name}>)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  list(APPEND A_ENVIRONMENT
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none)
  add_test(NAME ${test_name} COMMAND ${command} ${A_ARGUMENTS})
  set_tests_properties(${test_name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT} ENVIRONMENT "${A_ENVIRONMENT}")
endfunction()
