// Text from outside, made fit for a one-line message.
#ifndef FASTKV_IO_QUOTED_H_
#define FASTKV_IO_QUOTED_H_

#include <string>
#include <string_view>

namespace fastkv {

// `text` in double quotes: control characters, quotes, backslashes and bytes outside ASCII that do
// not belong to valid UTF-8 are escaped; more than 96 bytes are cut and marked with "...".
std::string Quoted(std::string_view text);

}  // namespace fastkv

#endif  // FASTKV_IO_QUOTED_H_
