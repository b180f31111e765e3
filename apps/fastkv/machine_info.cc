#include "fastkv/machine_info.h"

#include <algorithm>
#include <fstream>
#include <thread>

#include "backend/cpu/cpu_features.h"

namespace fastkv {
namespace {

constexpr char kMemoryFile[] = "/proc/meminfo";
constexpr char kControlGroup[] = "/sys/fs/cgroup/";

// A line "MemTotal:  24000000 kB" in bytes.
std::optional<int64_t> MemoryValue(const std::string& key) {
  constexpr int64_t kBytesPerUnit = 1024;
  std::ifstream file(kMemoryFile);
  std::string name;
  int64_t value = 0;
  std::string unit;
  while (file >> name >> value && std::getline(file, unit)) {
    if (name == key + ":") return value * kBytesPerUnit;
  }
  return std::nullopt;
}

// What a control group (version 2) with a limit has left, counting file pages that can go.
std::optional<int64_t> ControlGroupLeft() {
  const std::string folder = kControlGroup;
  int64_t limit = 0;
  int64_t current = 0;
  if (!(std::ifstream(folder + "memory.max") >> limit)) return std::nullopt;  // "max", or no file
  if (!(std::ifstream(folder + "memory.current") >> current)) return std::nullopt;
  std::ifstream statistics(folder + "memory.stat");
  std::string name;
  int64_t value = 0;
  while (statistics >> name >> value) {
    if (name == "inactive_file" || name == "active_file") current -= value;
  }
  return std::max<int64_t>(0, limit - current);
}

}  // namespace

std::string ProcValue(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind(key, 0) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "unknown";
}

std::optional<int64_t> AvailableMemoryBytes() {
  const std::optional<int64_t> available = MemoryValue("MemAvailable");
  const std::optional<int64_t> left = ControlGroupLeft();
  if (!available.has_value() || !left.has_value()) return available.has_value() ? available : left;
  return std::min(*available, *left);
}

Json MachineJson(const Backend& backend) {
  const BackendInfo& info = backend.info();
  const bool on_gpu = info.name.rfind("cuda", 0) == 0;
  Json json;
  json["cpu"] = ProcValue("/proc/cpuinfo", "model name");
  json["cpu_level"] = std::string(CpuLevelName(SelectCpuLevel()));
  json["cores"] = std::thread::hardware_concurrency();
  const std::optional<int64_t> memory_bytes = MemoryValue("MemTotal");
  json["memory_bytes"] = memory_bytes.has_value() ? Json(*memory_bytes) : Json(nullptr);
  json["gpu"] = on_gpu ? Json(info.description) : Json(nullptr);
  json["device"] = info.name;
  json["device_description"] = info.description;
  json["threads"] = info.num_threads;
  json["dtype"] = std::string(DTypeName(backend.types().activation));
  json["kv_dtype"] = std::string(DTypeName(backend.types().frozen_dtype()));
  return json;
}

}  // namespace fastkv
