// Numbers as people read them in tables and pages.
#ifndef FASTKV_EVAL_HUMAN_FORMAT_H_
#define FASTKV_EVAL_HUMAN_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace fastkv {

std::string HumanCount(int64_t count);          // 16,384
std::string HumanBytes(int64_t bytes);          // 512 B, 3.2 MiB: powers of 1024, three digits
std::string HumanDuration(double duration_ms);  // 0.42 ms, 38.1 ms, 4.62 s, 2 min 05 s
std::string HumanTimes(double factor);          // 2.9x with a multiplication sign; 12x from ten on
std::string HumanPercent(double share);         // 10 %, 0.4 %

// `text` for HTML content and quoted attributes: markup characters escaped, control characters but
// newline and tab and invalid UTF-8 replaced by U+FFFD.
std::string EscapeHtml(std::string_view text);

}  // namespace fastkv

#endif  // FASTKV_EVAL_HUMAN_FORMAT_H_
