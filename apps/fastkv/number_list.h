// Lists of sizes on the command line.
#ifndef FASTKV_APPS_NUMBER_LIST_H_
#define FASTKV_APPS_NUMBER_LIST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fastkv {

// Items such as 4096, 1024-8192*2 (1024, 2048, 4096, 8192) and 1000-3000+500, in their order and
// each number once. `flag` names the option in messages. Errors: kInvalidArgument naming the item
// (malformed, a number below 1 or above 2^28, a step that does not grow, more than 1000 numbers).
Result<std::vector<int64_t>> ParseNumberList(std::string_view flag,
                                             const std::vector<std::string>& items);

}  // namespace fastkv

#endif  // FASTKV_APPS_NUMBER_LIST_H_
