// Shards of one evaluation, put together.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "eval/eval_report.h"
#include "eval/eval_runner.h"
#include "eval/result_log.h"
#include "eval/timing_log.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

struct ShardFolder {
  std::string path;
  EvalManifest manifest;
  std::vector<EvalRecord> records;
  std::vector<EvalTiming> timings;
};

Result<ShardFolder> ReadShard(FileSystem& files, const std::string& path) {
  ShardFolder shard;
  shard.path = path;
  FASTKV_ASSIGN_OR_RETURN(shard.manifest, ReadManifest(files, path));
  FASTKV_ASSIGN_OR_RETURN(const bool is_complete, files.Exists(JoinPath(path, "summary.json")));
  FASTKV_ASSIGN_OR_RETURN(ResultLines lines, ReadResultLines(files, JoinPath(path, kResultFile)));
  if (!is_complete || lines.has_torn_end) {
    return InvalidArgumentError("the evaluation in " + Quoted(path) +
                                " is not complete; run its command again first");
  }
  shard.records = std::move(lines.records);
  FASTKV_ASSIGN_OR_RETURN(shard.timings, ReadTimings(files, path));
  return shard;
}

// Each shard once, and none missing.
Status CheckShards(const std::vector<ShardFolder>& shards) {
  const EvalManifest& first = shards.front().manifest;
  std::map<int64_t, const ShardFolder*> by_index;
  for (const ShardFolder& shard : shards) {
    EvalManifest wanted = first;
    wanted.shard.index = shard.manifest.shard.index;
    FASTKV_RETURN_IF_ERROR(
        CheckSameEvaluation(shard.path, shard.manifest, wanted, /*ignore_shards=*/false));
    const auto [place, is_new] = by_index.emplace(shard.manifest.shard.index, &shard);
    if (!is_new) {
      return InvalidArgumentError("expected every shard once, but " + Quoted(place->second->path) +
                                  " and " + Quoted(shard.path) + " are both shard " +
                                  ShardText(shard.manifest.shard));
    }
  }
  for (int64_t i = 0; i < first.shard.count; ++i) {
    if (by_index.count(i) > 0) continue;
    return InvalidArgumentError("shard " + ShardText({.index = i, .count = first.shard.count}) +
                                " is missing; give the folders of all shards");
  }
  return OkStatus();
}

// One machine as it is, several as a list.
Json MachinesOf(const std::vector<ShardFolder>& shards) {
  Json machines = Json::array();
  for (const ShardFolder& shard : shards) {
    const Json& machine = shard.manifest.machine;
    if (std::find(machines.begin(), machines.end(), machine) == machines.end()) {
      machines.push_back(machine);
    }
  }
  return machines.size() == 1 ? machines[0] : machines;
}

}  // namespace

Result<Json> MergeEvaluations(FileSystem& files, std::span<const std::string> folders,
                              const std::string& output) {
  if (folders.empty()) return InvalidArgumentError("expected folders of shards to merge, got none");
  std::vector<ShardFolder> shards;
  for (const std::string& folder : folders) {
    FASTKV_ASSIGN_OR_RETURN(ShardFolder shard, ReadShard(files, folder));
    shards.push_back(std::move(shard));
  }
  FASTKV_RETURN_IF_ERROR(CheckShards(shards));

  EvalManifest manifest{
      .identity = shards.front().manifest.identity, .machine = MachinesOf(shards), .shard = {}};
  FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(JoinPath(output, "manifest.json")));
  if (exists) {
    FASTKV_ASSIGN_OR_RETURN(const EvalManifest there, ReadManifest(files, output));
    FASTKV_RETURN_IF_ERROR(CheckSameEvaluation(output, there, manifest, /*ignore_shards=*/false));
  }
  std::vector<EvalRecord> records;
  std::vector<EvalTiming> timings;
  for (ShardFolder& shard : shards) {
    std::move(shard.records.begin(), shard.records.end(), std::back_inserter(records));
    std::move(shard.timings.begin(), shard.timings.end(), std::back_inserter(timings));
  }
  // Within a sample the runs keep their order.
  std::stable_sort(records.begin(), records.end(),
                   [](const EvalRecord& a, const EvalRecord& b) { return a.sample < b.sample; });
  std::string content;
  for (const EvalRecord& record : records) content += RecordLine(record);
  FASTKV_RETURN_IF_ERROR(files.CreateDirectory(output));
  FASTKV_RETURN_IF_ERROR(WriteManifest(files, output, manifest));
  FASTKV_RETURN_IF_ERROR(WriteTimings(files, output, timings));
  FASTKV_RETURN_IF_ERROR(files.WriteFile(JoinPath(output, kResultFile), content));
  return WriteEvalReports(files, output, manifest, records);
}

}  // namespace fastkv
