// Full Unicode case mapping (The Unicode Standard, section 3.13), which works on texts and not on
// single code points: one character may become several, and a capital sigma depends on what stands
// around it.
#ifndef FASTKV_TEXT_UNICODE_CASE_H_
#define FASTKV_TEXT_UNICODE_CASE_H_

#include <string>
#include <string_view>

namespace fastkv {

// U+0130 becomes two code points, and a capital sigma at the end of a word the final sigma.
// REQUIRES: `text` is valid UTF-8. Thread-safe.
std::string FullLowerCase(std::string_view text);

// The sharp s becomes SS, ligatures fall into their letters.
// REQUIRES: `text` is valid UTF-8. Thread-safe.
std::string FullUpperCase(std::string_view text);

}  // namespace fastkv

#endif  // FASTKV_TEXT_UNICODE_CASE_H_
