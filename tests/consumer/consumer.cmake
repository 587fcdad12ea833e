# What the three projects have in common: a program built under stricter warnings than linseed's own.
add_executable(consumer ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
target_link_libraries(consumer PRIVATE linseed::linseed)
target_compile_options(consumer PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror)
set_target_properties(consumer PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
