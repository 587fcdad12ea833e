# Turns files into a C++ source that defines one function per file, giving its bytes. Run at build time:
#   cmake -D OUTPUT=<source> -D HEADER=<header that declares them> -D NAMESPACE=<namespace>
#         -D "FILES=<name>=<file>;<name>=<file>" -P embed.cmake
set(text "// Made by cmake/embed.cmake.\n#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\nnamespace {\n")
set(functions "")
foreach(entry IN LISTS FILES)
  string(REGEX MATCH "^([^=]+)=(.*)$" entry "${entry}")
  set(name ${CMAKE_MATCH_1})
  file(READ "${CMAKE_MATCH_2}" bytes HEX)
  # Octets of a string literal compile many times faster than a list of numbers.
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  string(APPEND text "constexpr char ${name}_text[] = \"${bytes}\";\n")
  string(APPEND functions "std::span<const unsigned char> ${name}() noexcept {\n"
    "  return {reinterpret_cast<const unsigned char*>(${name}_text), sizeof ${name}_text - 1};\n}\n")
endforeach()
file(WRITE "${OUTPUT}" "${text}}  // namespace\n\n${functions}\n}  // namespace ${NAMESPACE}\n")
