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

// How `after` compares with `before`, both of the kind where less is better: "2.9x faster" for
// better = "faster", "1.2x slower" for worse = "slower". Empty where one of them is not positive.
std::string HumanChange(double before, double after, std::string_view better,
                        std::string_view worse);

// `text` for HTML content and quoted attributes: markup characters escaped, control characters but
// newline and tab and invalid UTF-8 replaced by U+FFFD.
std::string EscapeHtml(std::string_view text);

}  // namespace fastkv

#endif  // FASTKV_EVAL_HUMAN_FORMAT_H_
