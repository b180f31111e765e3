// What a folder of results is: everything that the results hang on, so that results of two models,
// seeds, settings or builds never end up in one table.
#ifndef FASTKV_EVAL_EVAL_MANIFEST_H_
#define FASTKV_EVAL_EVAL_MANIFEST_H_

#include <span>
#include <string>

#include "base/status.h"
#include "eval/eval_run.h"
#include "eval/suite.h"
#include "io/file.h"
#include "io/json.h"

namespace fastkv {

// One part of an evaluation that is spread over several processes: samples i with
// i % count == index.
struct EvalShard {
  int64_t index = 0;  // from 0
  int64_t count = 1;

  bool operator==(const EvalShard&) const = default;
};

// "2/3" as people write it, counted from 1. Errors: kInvalidArgument.
Result<EvalShard> ParseShard(const std::string& text);
std::string ShardText(const EvalShard& shard);

struct EvalManifest {
  Json identity;  // all that the results hang on
  Json machine;   // where they were made; not compared
  EvalShard shard;

  std::string IdentityHash() const;
};

struct EvalIdentity {
  std::string suite;
  std::string model;       // its name, for people
  std::string model_hash;  // ModelFingerprint
  std::string build;       // version and commit
  std::string arithmetic;  // back end, instruction set or device, element types
};

Json MakeIdentity(const EvalIdentity& parts, const Suite& suite, std::span<const EvalRun> runs);

// What was run, as one line for people: from the identity alone, without paths.
std::string CommandOf(const Json& identity);

// A sentence about the runs that compressed contexts without their questions; "" where none did.
std::string SharedContextNote(const Json& identity);

// Of an identity that was read from a file and may hold anything: a text, "" where there is none,
// and the list of runs, empty where there is none.
std::string TextField(const Json& object, std::string_view name);
Json RunsOf(const Json& identity);

// A hash of all that makes a model: configuration, weights and tokenizer of a folder, or the parts
// of a GGUF model.
// Reads them whole. Errors: those of reading.
Result<std::string> ModelFingerprint(FileSystem& files, const std::string& path);

// <folder>/manifest.json. Errors: those of reading and writing; kFormat.
Status WriteManifest(FileSystem& files, const std::string& folder, const EvalManifest& manifest);
Result<EvalManifest> ReadManifest(FileSystem& files, const std::string& folder);

// Errors: kInvalidArgument with the first settings that differ between the folder's manifest and
// `wanted`. With `ignore_shards` only the identities are compared.
Status CheckSameEvaluation(const std::string& folder, const EvalManifest& there,
                           const EvalManifest& wanted, bool ignore_shards);

}  // namespace fastkv

#endif  // FASTKV_EVAL_EVAL_MANIFEST_H_
