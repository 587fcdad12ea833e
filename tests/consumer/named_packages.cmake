# Included by the project that finds linseed: what the package asks for is what the README names, and nothing else. xtensor
# brings xtl; what xtensor takes where it happens to be there is not there now.
set(CMAKE_DISABLE_FIND_PACKAGE_xsimd ON)
set(CMAKE_DISABLE_FIND_PACKAGE_TBB ON)

macro(find_package name)
  if(NOT "${name}" MATCHES "^(linseed|fmt|xtensor|xtl|xsimd|TBB|ZLIB|Threads)$")
    message(FATAL_ERROR "linseed asks for a package that the README does not name: ${name}")
  endif()
  _find_package(${ARGV})
endmacro()
