# Configures, builds and runs one consumer project from nothing:
#   cmake -D PROJECT=<folder beside this file> -D TREE=<linseed's sources> -D BUILD=<linseed's build> -D WORK=<folder>
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

if(PROJECT STREQUAL "find_package")
  # Moved after installation: a package must not remember where it was.
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/first)
  file(RENAME ${work}/first ${work}/installed)
  list(APPEND OPTIONS -DCMAKE_PREFIX_PATH=${work}/installed)
else()
  list(APPEND OPTIONS -DLINSEED_TREE=${TREE})
endif()

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${PROJECT} -B ${work}/build ${OPTIONS})
run(${CMAKE_COMMAND} --build ${work}/build --target consumer)
run(${work}/build/consumer)
