// `fastkv tokenize`: text to token ids and back, without the weights.
#ifndef FASTKV_APPS_TOKENIZE_H_
#define FASTKV_APPS_TOKENIZE_H_

#include <CLI/CLI.hpp>
#include <istream>
#include <ostream>
#include <string>

#include "base/status.h"

namespace fastkv {

struct TokenizeOptions {
  std::string model;       // as ResolveModelPath takes it
  std::string batch_file;  // a JSON array of texts; empty: one text from standard input
  bool json = false;
};

void AddTokenizeOptions(CLI::App& command, TokenizeOptions& options);

// Writes the ids of the text in `in`, or of every text of the batch, one line each or as JSON. Adds
// no special tokens, but recognises those written in a text. Nothing is written unless every text
// could be tokenized. Errors: those of loading; kInvalidArgument for text that is not UTF-8.
Status RunTokenize(const TokenizeOptions& options, std::istream& in, std::ostream& out);

}  // namespace fastkv

#endif  // FASTKV_APPS_TOKENIZE_H_
