// Layouts of published tokenizers, made by exchanging parts of a few files.
#ifndef FASTKV_TEXT_TOKENIZER_VARIANT_FOR_TEST_H_
#define FASTKV_TEXT_TOKENIZER_VARIANT_FOR_TEST_H_

#include <string>
#include <utility>

#include "io/json.h"

namespace fastkv {

// A tokenizer.json with the parts that `replace` names, "model" or "model.merges", exchanged.
inline Json WithParts(Json file, const Json& replace) {
  for (const auto& [key, value] : replace.items()) {
    const size_t dot = key.find('.');
    if (dot == std::string::npos) {
      file[key] = value;
    } else {
      file[key.substr(0, dot)][key.substr(dot + 1)] = value;
    }
  }
  return file;
}

}  // namespace fastkv

#endif  // FASTKV_TEXT_TOKENIZER_VARIANT_FOR_TEST_H_
