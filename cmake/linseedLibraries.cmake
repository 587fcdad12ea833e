# Defines linseed::fmt, linseed::blas and linseed::zlib: the libraries that linseed links. Used by the build and by the
# installed package, after fmt and ZLIB are found.
#
# linseed calls BLAS from its own threads and wants it single-threaded. Debian keeps the serial OpenBLAS in a folder of its
# own, beside the threaded one that `libopenblas.so` names when both are installed, so that folder is searched first.
#
# LINSEED_STATIC makes programs that link linseed::linseed static: they need no file but themselves.
option(LINSEED_STATIC "Link programs statically, together with all that they need" OFF)
if(TARGET linseed::blas)
  return()
endif()

add_library(linseed::fmt INTERFACE IMPORTED)
add_library(linseed::blas INTERFACE IMPORTED)
add_library(linseed::zlib INTERFACE IMPORTED)

if(LINSEED_STATIC)
  find_library(LINSEED_STATIC_BLAS_LIBRARY libopenblas.a PATH_SUFFIXES openblas-serial REQUIRED)
  find_library(LINSEED_STATIC_ZLIB_LIBRARY libz.a REQUIRED)
  mark_as_advanced(LINSEED_STATIC_BLAS_LIBRARY LINSEED_STATIC_ZLIB_LIBRARY)
  set_target_properties(linseed::blas PROPERTIES INTERFACE_LINK_LIBRARIES "${LINSEED_STATIC_BLAS_LIBRARY}")
  set_target_properties(linseed::zlib PROPERTIES
    INTERFACE_LINK_LIBRARIES "${LINSEED_STATIC_ZLIB_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${ZLIB_INCLUDE_DIRS}")
  set_target_properties(linseed::fmt PROPERTIES INTERFACE_LINK_OPTIONS -static)
  get_target_property(linseed_fmt_type fmt::fmt TYPE)
  if(linseed_fmt_type STREQUAL "STATIC_LIBRARY")
    set_target_properties(linseed::fmt PROPERTIES INTERFACE_LINK_LIBRARIES fmt::fmt)
  elseif(fmt_VERSION VERSION_GREATER_EQUAL 9 AND fmt_VERSION VERSION_LESS 10)
    # Only shared, as in Debian: its headers, and the library that linseed makes of them.
    set_target_properties(linseed::fmt PROPERTIES INTERFACE_LINK_LIBRARIES linseed::static_fmt)
  else()
    message(FATAL_ERROR "LINSEED_STATIC: fmt ${fmt_VERSION} is there as a shared library only. Install a static one.")
  endif()
  return()
endif()

set_target_properties(linseed::fmt PROPERTIES INTERFACE_LINK_LIBRARIES fmt::fmt)
set_target_properties(linseed::zlib PROPERTIES INTERFACE_LINK_LIBRARIES ZLIB::ZLIB)
find_library(LINSEED_BLAS_LIBRARY openblas PATH_SUFFIXES openblas-serial)
mark_as_advanced(LINSEED_BLAS_LIBRARY)
if(LINSEED_BLAS_LIBRARY)
  set_target_properties(linseed::blas PROPERTIES INTERFACE_LINK_LIBRARIES "${LINSEED_BLAS_LIBRARY}")
else()
  find_package(BLAS REQUIRED)
  set_target_properties(linseed::blas PROPERTIES INTERFACE_LINK_LIBRARIES BLAS::BLAS)
endif()
