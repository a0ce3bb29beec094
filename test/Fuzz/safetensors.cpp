// A checkpoint file: header, and every byte of every tensor that it claims.
#include "compressc/runtime/safetensors.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  compressc::fuzz::WithFile(data, size, [](const std::string &path) {
    auto reader = compressc::SafetensorsReader::OpenFile(path);
    if (!reader.ok())
      return;
    volatile uint8_t sink = 0;
    for (const auto &[name, tensor] : reader->tensors())
      for (int64_t i = 0; i < tensor.bytes; ++i)
        sink = uint8_t(sink ^ tensor.data[i]);
  });
  return 0;
}
