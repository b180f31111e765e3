// What a model file says about itself, for inspect and doctor.
#ifndef FASTKV_APPS_MODEL_DESCRIPTION_H_
#define FASTKV_APPS_MODEL_DESCRIPTION_H_

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/status.h"
#include "io/file.h"
#include "model/gguf_model.h"

namespace fastkv {

// Nothing for a model folder, which describes itself in files that can be read. Errors: those of
// FindGgufFile and GgufModel::Load.
Result<std::optional<GgufDescription>> DescribeModelFile(FileSystem& files,
                                                         const std::string& path);

// "format", "name" and the other labels, "file_type", "tensors" (how many of each type),
// "weight_bytes", "warnings".
nlohmann::ordered_json DescriptionJson(const GgufDescription& description);

// One line for each of them, each ended.
std::string DescriptionText(const GgufDescription& description);

}  // namespace fastkv

#endif  // FASTKV_APPS_MODEL_DESCRIPTION_H_
