// The machine that a command runs on, for reports.
#ifndef FASTKV_APPS_MACHINE_INFO_H_
#define FASTKV_APPS_MACHINE_INFO_H_

#include <cstdint>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "io/json.h"

namespace fastkv {

// The value of the first "key : value" line of a file such as /proc/meminfo; "unknown" where there
// is none.
std::string ProcValue(const std::string& path, const std::string& key);

// Host memory that this process could still take: what the kernel calls available, and no more than
// the control group's limit leaves. Nothing where neither is known.
std::optional<int64_t> AvailableMemoryBytes();

// cpu, cpu_level, cores (logical processors), memory_bytes, gpu (the name, or null where `backend`
// runs on the CPU), device, device_description, threads (that `backend` uses), dtype (of matrix
// products' inputs).
Json MachineJson(const Backend& backend);

}  // namespace fastkv

#endif  // FASTKV_APPS_MACHINE_INFO_H_
