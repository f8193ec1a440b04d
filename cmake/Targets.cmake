# gpumonth_library(name SOURCES ... LIBS ...): a static library of ours: warnings as errors, includes from the root.
# gpumonth_test(name SOURCES ... LIBS ... [LABELS ...] [RANKS n] [TIMEOUT s] [SUFFIX s] [ARGUMENTS ...]
#     [ENVIRONMENT A=B ...] [PROGRAM target]): a Catch2 program under CTest; RANKS n runs it as n ranks under mpirun.
#   SUFFIX: one more test of a program that is there already. PROGRAM: what GPUMONTH_BINARY is, gpumonth by default.
# gpumonth_tests(name PREFIX p FILES a_test.cpp ... [the same]): one program of several files, as each program costs a
#   link; and a test p<a> for the cases of each file.
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
    if(GPUMONTH_SANITIZE MATCHES "fuzzer")
      list(APPEND sanitize -fsanitize-coverage-ignorelist=${PROJECT_SOURCE_DIR}/tests/fuzz/not_traced.txt)
    endif()
    if(GPUMONTH_SANITIZE MATCHES "undefined")  # a double that an integer cannot hold is undefined, too
      list(APPEND sanitize -fsanitize=float-cast-overflow -fno-sanitize-recover=all)
    endif()
    target_compile_options(${target} PUBLIC "$<$<COMPILE_LANGUAGE:CXX>:${sanitize}>")
    target_link_options(${target} PUBLIC -fsanitize=${GPUMONTH_SANITIZE})
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "EXECUTABLE")
      target_link_libraries(${target} PRIVATE -Wl,--no-as-needed gpumonth_keep_libraries)
    endif()
  endif()
endfunction()
if(NOT GPUMONTH_SANITIZE STREQUAL "OFF")
  add_library(gpumonth_keep_libraries SHARED ${PROJECT_SOURCE_DIR}/tests/sanitizers/keep_libraries.cpp)
endif()

# Remembers sources that need CUDA, whether they are built or not: tests/emulator runs them on the CPU, in the place of
# these objects, so that each stays an object of its own.
function(gpumonth_cuda_sources)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  set_property(GLOBAL APPEND PROPERTY GPUMONTH_CUDA_SOURCES ${ARGN})
endfunction()

# Files of a library compiled a dozen at a time, as most of what a compiler reads is the same headers: a fifth of the time.
# Their anonymous namespaces become one, so their names have to differ; its members in a class are no mistake then.
function(gpumonth_unity target)
  if(GPUMONTH_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

function(gpumonth_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  gpumonth_compile_options(${name})
  gpumonth_unity(${name})
  target_link_libraries(${name} PUBLIC ${A_LIBS})
endfunction()

# The Catch2 program of tests. -O1, as nobody waits for the tests' own code; headers precompiled once, in gpumonth_catch.
# g++ 12 at -O1 sees overflows in std::string's operator+ that are none (GCC bug 105651).
set(gpumonth_test_options -O1 $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-array-bounds -Wno-restrict -Wno-stringop-overflow>)
if(GPUMONTH_BUNDLE)  # gpumonth_catch is a shared library there, and g++ refuses its header to code that is compiled otherwise
  list(APPEND gpumonth_test_options -fPIC)
endif()
function(gpumonth_test_program name)
  cmake_parse_arguments(A "" "PROGRAM" "SOURCES;LIBS" ${ARGN})
  if(TARGET ${name})
    return()
  endif()
  if(NOT A_PROGRAM)
    set(A_PROGRAM gpumonth)
  endif()
  add_executable(${name} ${A_SOURCES})
  gpumonth_compile_options(${name})
  target_compile_options(${name} PRIVATE ${gpumonth_test_options})
  target_link_libraries(${name} PRIVATE gpumonth_catch ${A_LIBS})
  if(GPUMONTH_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM gpumonth_catch)
  endif()
  if(GPUMONTH_BUNDLE)  # started in the bundle's folder, on another machine
    set(places GPUMONTH_SOURCE_DIR="." GPUMONTH_BINARY="bin/gpumonth")
  else()
    set(places GPUMONTH_SOURCE_DIR="${PROJECT_SOURCE_DIR}" GPUMONTH_BINARY="$<TARGET_FILE:${A_PROGRAM}>")
  endif()
  target_compile_definitions(${name} PRIVATE ${places})
endfunction()

function(gpumonth_test name)
  cmake_parse_arguments(A "" "RANKS;TIMEOUT;SUFFIX;PROGRAM" "SOURCES;LIBS;LABELS;ARGUMENTS;ENVIRONMENT" ${ARGN})
  gpumonth_test_program(${name} SOURCES ${A_SOURCES} LIBS ${A_LIBS} PROGRAM ${A_PROGRAM})
  gpumonth_add_test(${name}${A_SUFFIX} ${name} RANKS ${A_RANKS} TIMEOUT ${A_TIMEOUT} LABELS ${A_LABELS}
    ARGUMENTS ${A_ARGUMENTS} ENVIRONMENT ${A_ENVIRONMENT})
endfunction()

function(gpumonth_tests name)
  cmake_parse_arguments(A "" "TIMEOUT;PREFIX;PROGRAM" "FILES;SOURCES;LIBS;LABELS;ENVIRONMENT" ${ARGN})
  gpumonth_test_program(${name} SOURCES ${A_FILES} ${A_SOURCES} LIBS ${A_LIBS} PROGRAM ${A_PROGRAM})
  foreach(file IN LISTS A_FILES)
    get_filename_component(stem ${file} NAME_WE)
    string(REGEX REPLACE "^test_|_test$" "" short ${stem})
    # -#: Catch2 tags every case with the name of its file
    gpumonth_add_test(${A_PREFIX}${short} ${name} TIMEOUT ${A_TIMEOUT} LABELS ${A_LABELS} ARGUMENTS "-#" "[#${stem}]"
      ENVIRONMENT ${A_ENVIRONMENT})
  endforeach()
endfunction()

# One line of CTest: `program` with arguments, which ends with 77 where it cannot do its work: skipped.
function(gpumonth_add_test test program)
  cmake_parse_arguments(A "" "RANKS;TIMEOUT" "LABELS;ARGUMENTS;ENVIRONMENT" ${ARGN})
  set(command $<TARGET_FILE:${program}>)
  if(A_RANKS)
    set(test ${test}.ranks${A_RANKS})
    # Not MPIEXEC_EXECUTABLE: in a bundle's build that is the bundle's own, which CTest would not find.
    find_program(GPUMONTH_CTEST_MPIRUN NAMES mpirun mpiexec REQUIRED)
    set(command ${GPUMONTH_CTEST_MPIRUN} --oversubscribe --bind-to none -n ${A_RANKS} ${command})
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  list(APPEND A_ENVIRONMENT
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none)
  add_test(NAME ${test} COMMAND ${command} ${A_ARGUMENTS})
  set_tests_properties(${test} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT} ENVIRONMENT "${A_ENVIRONMENT}"
    SKIP_RETURN_CODE 77)
endfunction()
