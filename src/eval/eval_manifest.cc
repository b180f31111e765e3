#include "eval/eval_manifest.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "io/contained_path.h"
#include "io/content_hash.h"
#include "io/gguf.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr std::string_view kManifestFile = "manifest.json";
constexpr int64_t kFormatVersion = 1;
constexpr int64_t kMaxShards = 100'000;
constexpr size_t kMaxDifferencesShown = 3;
constexpr size_t kMaxValueBytes = 60;

// Everything of a model folder but its weights.
constexpr std::string_view kModelFiles[] = {"config.json", "generation_config.json",
                                            "tokenizer.json", "tokenizer_config.json",
                                            "chat_template.jinja"};

Result<uint64_t> HashFile(FileSystem& files, const std::string& path, uint64_t seed) {
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> file, files.Map(path));
  const uint64_t hash = ContentHash(file->bytes(), seed);
  if (file->damaged()) return IoError(path + " changed while it was read; run again");
  return hash;
}

// The names of a folder's weight files.
Result<std::set<std::string>> WeightFiles(FileSystem& files, const std::string& folder) {
  const std::string index = JoinPath(folder, "model.safetensors.index.json");
  FASTKV_ASSIGN_OR_RETURN(const bool is_sharded, files.Exists(index));
  std::set<std::string> names;
  if (!is_sharded) {
    names.insert("model.safetensors");
    return names;
  }
  FASTKV_ASSIGN_OR_RETURN(const Json json,
                          ReadJsonFile(files, index, limits::kMaxWeightIndexBytes));
  const auto weight_map = json.find("weight_map");
  if (weight_map == json.end() || !weight_map->is_object()) {
    return FormatError(index + ": expected an object `weight_map`");
  }
  for (const auto& [tensor, file] : weight_map->items()) {
    if (!file.is_string()) return FormatError(index + ": expected file names in `weight_map`");
    names.insert(file.get<std::string>());
  }
  return names;
}

std::string Shown(const Json* value) {
  if (value == nullptr) return "nothing";
  std::string text = DumpJson(*value);
  if (text.size() > kMaxValueBytes) text = text.substr(0, kMaxValueBytes) + "...";
  return text;
}

const Json* Member(const Json& value, const std::string& key) {
  const auto member = value.find(key);
  return member == value.end() ? nullptr : &*member;
}

struct Difference {
  std::string name;
  const Json* there;
  const Json* wanted;
};

// The names of what an object or list holds; of a list they are numbers.
std::set<std::string> NamesIn(const Json& value) {
  std::set<std::string> names;
  for (const auto& [name, member] : value.items()) names.insert(name);
  return names;
}

const Json* Element(const Json& value, const std::string& name) {
  for (const auto& item : value.items()) {
    if (item.key() == name) return &item.value();
  }
  return nullptr;
}

// Compares objects and lists member by member.
std::vector<Difference> DifferencesOf(const Json& there, const Json& wanted) {
  std::vector<Difference> open = {{"", &there, &wanted}};
  std::vector<Difference> found;
  while (!open.empty()) {
    const Difference pair = open.back();
    open.pop_back();
    if (pair.there != nullptr && pair.wanted != nullptr && pair.there->is_structured() &&
        pair.there->type() == pair.wanted->type()) {
      std::set<std::string> names = NamesIn(*pair.there);
      names.merge(NamesIn(*pair.wanted));
      for (const std::string& name : names) {
        open.push_back({pair.name.empty() ? name : pair.name + "." + name,
                        Element(*pair.there, name), Element(*pair.wanted, name)});
      }
    } else if (pair.there == nullptr || pair.wanted == nullptr || *pair.there != *pair.wanted) {
      found.push_back(pair);
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Difference& a, const Difference& b) { return a.name < b.name; });
  return found;
}

Json ShardJson(const EvalShard& shard) {
  return shard.count == 1 ? Json(nullptr) : Json(ShardText(shard));
}

}  // namespace

Result<EvalShard> ParseShard(const std::string& text) {
  const char* const end = text.data() + text.size();
  int64_t number = 0;
  int64_t count = 0;
  const auto first = std::from_chars(text.data(), end, number);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '/') {
    const auto second = std::from_chars(first.ptr + 1, end, count);
    if (second.ec == std::errc() && second.ptr == end && 1 <= number && number <= count &&
        count <= kMaxShards) {
      return EvalShard{.index = number - 1, .count = count};
    }
  }
  return InvalidArgumentError("--shard: expected i/n with i from 1 to n, such as 1/4, got " +
                              Quoted(text));
}

std::string ShardText(const EvalShard& shard) {
  return std::to_string(shard.index + 1) + "/" + std::to_string(shard.count);
}

std::string EvalManifest::IdentityHash() const { return HashText(ContentHash(DumpJson(identity))); }

Json MakeIdentity(const EvalIdentity& parts, const Suite& suite, std::span<const EvalRun> runs) {
  Json identity;
  identity["format"] = kFormatVersion;
  identity["suite"] = parts.suite;
  identity["profile"] = suite.profile();
  identity["settings"] = suite.Settings();
  identity["model"] = parts.model;
  identity["model_hash"] = parts.model_hash;
  identity["build"] = parts.build;
  identity["arithmetic"] = parts.arithmetic;
  identity["runs"] = Json::array();
  for (const EvalRun& run : runs) identity["runs"].push_back(RunSettings(run));
  return identity;
}

std::string CommandOf(const Json& identity) {
  std::string labels;
  for (const Json& run : RunsOf(identity)) {
    labels += (labels.empty() ? "" : ", ") + TextField(run, "label");
  }
  std::string details;
  const Json* settings = Member(identity, "settings");
  if (settings != nullptr && settings->is_object()) {
    for (const auto& [name, value] : settings->items()) {
      details += "; " + name + " " + DumpJson(value);
    }
  }
  return "fastkv eval " + TextField(identity, "suite") + " on " + TextField(identity, "model") +
         ": " + labels + details;
}

std::string SharedContextNote(const Json& identity) {
  std::string labels;
  for (const Json& run : RunsOf(identity)) {
    const Json* shares = run.is_object() ? Member(run, "shares_context") : nullptr;
    if (shares == nullptr || *shares != Json(true)) continue;
    labels += (labels.empty() ? "" : ", ") + TextField(run, "label");
  }
  if (labels.empty()) return {};
  return "Contexts were compressed once, without their questions, by " + labels +
         "; other runs compress every context together with its question.";
}

std::string TextField(const Json& object, std::string_view name) {
  if (!object.is_object()) return {};
  const Json* member = Member(object, std::string(name));
  return member != nullptr && member->is_string() ? member->get<std::string>() : std::string();
}

Json RunsOf(const Json& identity) {
  const Json* runs = Member(identity, "runs");
  return runs != nullptr && runs->is_array() ? *runs : Json::array();
}

Result<std::string> ModelFingerprint(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> gguf_path, FindGgufFile(files, path));
  uint64_t hash = 0;
  if (gguf_path) {
    FASTKV_ASSIGN_OR_RETURN(const GgufFiles gguf, GgufFiles::Open(files, *gguf_path));
    for (const GgufFile& part : gguf.parts()) {
      FASTKV_ASSIGN_OR_RETURN(hash, HashFile(files, part.path(), hash));
    }
    return HashText(hash);
  }
  for (const std::string_view name : kModelFiles) {
    const std::string file = JoinPath(path, name);
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(file));
    if (!exists) continue;
    FASTKV_ASSIGN_OR_RETURN(hash, HashFile(files, file, ContentHash(name, hash)));
  }
  FASTKV_ASSIGN_OR_RETURN(const std::set<std::string> weights, WeightFiles(files, path));
  for (const std::string& name : weights) {
    FASTKV_ASSIGN_OR_RETURN(const std::string file, ContainedPath(files, path, name));
    FASTKV_ASSIGN_OR_RETURN(hash, HashFile(files, file, ContentHash(name, hash)));
  }
  return HashText(hash);
}

Status WriteManifest(FileSystem& files, const std::string& folder, const EvalManifest& manifest) {
  Json json;
  json["identity"] = manifest.identity;
  json["identity_hash"] = manifest.IdentityHash();
  json["shard"] = ShardJson(manifest.shard);
  json["machine"] = manifest.machine;
  return files.WriteFile(JoinPath(folder, kManifestFile), DumpJson(json) + "\n");
}

Result<EvalManifest> ReadManifest(FileSystem& files, const std::string& folder) {
  const std::string path = JoinPath(folder, kManifestFile);
  FASTKV_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(files, path, limits::kMaxConfigBytes));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, path));
  EvalManifest manifest;
  const Json* identity = fields.Find("identity");
  if (identity == nullptr || !identity->is_object()) {
    return FormatError(path + ": expected an object `identity`; it is no folder of results");
  }
  manifest.identity = *identity;
  const Json* machine = fields.Find("machine");
  if (machine != nullptr) manifest.machine = *machine;
  FASTKV_ASSIGN_OR_RETURN(const std::string shard, fields.StringOr("shard", ""));
  if (!shard.empty()) {
    FASTKV_ASSIGN_OR_RETURN(manifest.shard, ParseShard(shard));
  }
  return manifest;
}

Status CheckSameEvaluation(const std::string& folder, const EvalManifest& there,
                           const EvalManifest& wanted, bool ignore_shards) {
  std::vector<Difference> differences = DifferencesOf(there.identity, wanted.identity);
  const Json shard_there = ShardJson(there.shard);
  const Json shard_wanted = ShardJson(wanted.shard);
  if (!ignore_shards && there.shard != wanted.shard) {
    differences.push_back({"shard", &shard_there, &shard_wanted});
  }
  if (differences.empty()) return OkStatus();
  std::string text;
  for (size_t i = 0; i < std::min(kMaxDifferencesShown, differences.size()); ++i) {
    const Difference& difference = differences[i];
    text += (i == 0 ? "" : "; ") + difference.name + " is " + Shown(difference.there) +
            " there and " + Shown(difference.wanted) + " here";
  }
  if (differences.size() > kMaxDifferencesShown) {
    text += "; and " + std::to_string(differences.size() - kMaxDifferencesShown) + " more";
  }
  return InvalidArgumentError(Quoted(folder) + " holds another evaluation: " + text +
                              "; give another --output, or the same settings");
}

}  // namespace fastkv
