// Safetensors files made in memory, for tests and fuzz targets.
#ifndef FASTKV_IO_SAFETENSORS_BYTES_H_
#define FASTKV_IO_SAFETENSORS_BYTES_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace fastkv {

// The file with `header` as it stands, whatever it says, and `data` behind it.
inline std::string SafetensorsBytes(std::string_view header, std::string_view data) {
  std::string file;
  for (int shift = 0; shift < 64; shift += 8) {
    file += static_cast<char>(static_cast<uint64_t>(header.size()) >> shift);
  }
  return file.append(header).append(data);
}

}  // namespace fastkv

#endif  // FASTKV_IO_SAFETENSORS_BYTES_H_
