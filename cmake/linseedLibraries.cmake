# Defines linseed::blas. Used by the build and by the installed package.
#
# linseed calls BLAS from its own threads and wants it single-threaded. Debian keeps the serial OpenBLAS in a folder of its
# own, beside the threaded one that `libopenblas.so` names when both are installed, so that folder is searched first.
if(TARGET linseed::blas)
  return()
endif()

find_library(LINSEED_BLAS_LIBRARY openblas PATH_SUFFIXES openblas-serial)
mark_as_advanced(LINSEED_BLAS_LIBRARY)
add_library(linseed::blas INTERFACE IMPORTED)
if(LINSEED_BLAS_LIBRARY)
  set_target_properties(linseed::blas PROPERTIES INTERFACE_LINK_LIBRARIES "${LINSEED_BLAS_LIBRARY}")
else()
  find_package(BLAS REQUIRED)
  set_target_properties(linseed::blas PROPERTIES INTERFACE_LINK_LIBRARIES BLAS::BLAS)
endif()
