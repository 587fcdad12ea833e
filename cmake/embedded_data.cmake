# The extract of Fashion-MNIST becomes a source of the library.
set(embedded_folder ${PROJECT_SOURCE_DIR}/src/data/embedded)
set(embedded_source ${PROJECT_BINARY_DIR}/generated/embedded_data.cpp)
set(embedded_files
  train_images=${embedded_folder}/train-images-idx3-ubyte.gz
  train_labels=${embedded_folder}/train-labels-idx1-ubyte.gz
  t10k_images=${embedded_folder}/t10k-images-idx3-ubyte.gz
  t10k_labels=${embedded_folder}/t10k-labels-idx1-ubyte.gz)
string(REGEX REPLACE "[a-z0-9_]+=" "" embedded_paths "${embedded_files}")

add_custom_command(
  OUTPUT ${embedded_source}
  COMMAND ${CMAKE_COMMAND} -D OUTPUT=${embedded_source} -D HEADER=data/embedded.hpp
          -D NAMESPACE=linseed::data::embedded -D "FILES=${embedded_files}" -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${embedded_paths} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  COMMENT "Embedding the extract of Fashion-MNIST"
  VERBATIM)
target_sources(linseed PRIVATE ${embedded_source})
