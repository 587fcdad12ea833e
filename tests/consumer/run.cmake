# Configures, builds and runs one consumer project from nothing:
#   cmake -D PROJECT=<folder beside this file, or static: find_package as a static program> -D TREE=<linseed's sources> -D BUILD=<linseed's build> -D WORK=<folder>
#         -D "OPTIONS=<options for the consumer>" -P run.cmake
set(work ${WORK}/${PROJECT})
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed: ${command}")
  endif()
endfunction()

set(folder ${PROJECT})
if(PROJECT STREQUAL "find_package" OR PROJECT STREQUAL "static")
  set(folder find_package)
  # Moved after installation: a package must not remember where it was.
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/first)
  file(RENAME ${work}/first ${work}/installed)
  list(APPEND OPTIONS -DCMAKE_PREFIX_PATH=${work}/installed
    -DCMAKE_PROJECT_consumer_INCLUDE=${CMAKE_CURRENT_LIST_DIR}/named_packages.cmake)
else()
  list(APPEND OPTIONS -DLINSEED_TREE=${TREE})
endif()

if(PROJECT STREQUAL "static")
  list(APPEND OPTIONS -DLINSEED_STATIC=ON)
endif()

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${folder} -B ${work}/build ${OPTIONS})
run(${CMAKE_COMMAND} --build ${work}/build --target consumer)
run(${work}/build/consumer)

if(PROJECT STREQUAL "static")
  execute_process(COMMAND ldd ${work}/build/consumer RESULT_VARIABLE result OUTPUT_VARIABLE libraries ERROR_QUIET)
  if(result EQUAL 0)
    message(FATAL_ERROR "a static program needs no libraries, but this one does:\n${libraries}")
  endif()
endif()
