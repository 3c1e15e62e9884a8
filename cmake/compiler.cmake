# Whether the compiler can build the core: one sentence instead of pages of errors. Read by CMakeLists.txt, and by a test
# that makes up compilers.
set(named "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})")
set(cure "Install a newer one and name it, as in `CXX=g++-12 pip install .`")

if(WIN32)
  message(FATAL_ERROR "tconv cannot be built on Windows yet; use it in WSL, or on Linux.")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "tconv needs GCC 12 or later, and this is ${named}: it has no __builtin_shufflevector. ${cure}.")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  message(FATAL_ERROR "tconv needs Clang 14 or later, and this is ${named}: it lacks parts of C++20. ${cure}.")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "AppleClang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15)
  message(FATAL_ERROR "tconv needs Xcode 15 or later, and this is ${named}: it lacks parts of C++20.")
endif()
