# Turns a text file into a C++ source that defines it as a std::string_view, so that the program needs
# no file of the source tree at run time. Run as a script:
#   cmake -DINPUT=file -DOUTPUT=file.cc -DSYMBOL=kName -DHEADER=path/of/declaration.h -P EmbedText.cmake
file(READ ${INPUT} text)
string(FIND "${text}" ")fastkv_text\"" delimiter_at)
if(NOT delimiter_at EQUAL -1)
  message(FATAL_ERROR "${INPUT} contains the raw string delimiter that embedding uses")
endif()
file(WRITE ${OUTPUT}
  "#include \"${HEADER}\"\n\nnamespace fastkv {\n\nconstinit const std::string_view ${SYMBOL} = R\"fastkv_text(")
file(APPEND ${OUTPUT} "${text}")
file(APPEND ${OUTPUT} ")fastkv_text\";\n\n}  // namespace fastkv\n")
