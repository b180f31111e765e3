# One library and one test program a folder: a new source file is picked up by its name alone.
#   x.cc        part of the folder's library
#   x_test.cc   part of the folder's test program
#   x_fuzz.cc   a fuzz target of its own

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

add_library(fastkv_options INTERFACE)
target_include_directories(fastkv_options INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
target_compile_options(fastkv_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers>)
# gcc 12 reports overlapping copies in std::string's operator+ where there are none (PR 105651).
target_compile_options(fastkv_options INTERFACE
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>)
# clang 19 reports what the standard library of gcc 12 calls in its own std::stable_sort.
target_compile_options(fastkv_options INTERFACE
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:Clang>>:-Wno-deprecated-declarations>)
target_link_libraries(fastkv_options INTERFACE Threads::Threads)

if(FASTKV_SANITIZE)
  string(REPLACE ";" "," sanitizers "${FASTKV_SANITIZE}")
  target_compile_options(fastkv_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(fastkv_options INTERFACE -fsanitize=${sanitizers})
endif()
if("undefined" IN_LIST FASTKV_SANITIZE)
  # A null pointer ends in AddressSanitizer's report anyway, and these checks of every member access double the time
  # that the templates of JSON and tests take to compile.
  target_compile_options(fastkv_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=null,vptr,object-size>)
endif()
if(FASTKV_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc's own manual: sanitizers make its flow warnings see paths that do not exist.
  target_compile_options(fastkv_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
endif()
if("thread" IN_LIST FASTKV_SANITIZE OR FASTKV_FUZZERS)
  target_compile_definitions(fastkv_options INTERFACE FASTKV_STD_THREADS)
else()
  find_package(OpenMP REQUIRED)
  target_link_libraries(fastkv_options INTERFACE OpenMP::OpenMP_CXX)
endif()
if(FASTKV_FUZZERS)
  target_compile_options(fastkv_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=fuzzer-no-link>)
endif()

# fastkv_library(name [DEPENDS libraries...] [SUBFOLDERS folders...]): the library of this folder and of
# the subfolders named, its tests and fuzz targets.
function(fastkv_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;EXTRA_SOURCES;SUBFOLDERS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(subfolder ${ARG_SUBFOLDERS})
    file(GLOB more_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${subfolder}/*.cc)
    list(APPEND sources ${more_sources})
  endforeach()
  set(tests ${sources})
  set(fuzzers ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cc$")
  add_library(${name} STATIC ${sources} ${ARG_EXTRA_SOURCES})
  target_link_libraries(${name} PUBLIC fastkv_options ${ARG_DEPENDS})
  if(FASTKV_TESTS AND tests)
    fastkv_test(${name}_test SOURCES ${tests} DEPENDS ${name})
  endif()
  if(FASTKV_FUZZERS)
    foreach(fuzzer ${fuzzers})
      get_filename_component(fuzzer_name ${fuzzer} NAME_WE)
      add_executable(${fuzzer_name} ${fuzzer})
      target_link_libraries(${fuzzer_name} PRIVATE ${name})
      target_link_options(${fuzzer_name} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
endfunction()

# fastkv_test(name SOURCES files... DEPENDS libraries...): a GoogleTest program, run from the root folder.
function(fastkv_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  if(FASTKV_SANITIZE)
    # What is tested is optimised; the test itself runs once, and compiles in half the time.
    target_compile_options(${name} PRIVATE -O0)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900)
endfunction()
