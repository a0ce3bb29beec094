// config.json.
#include "compressc/Import/ModelConfig.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(compressc::fuzz::AsText(data, size));
  if (compressc::ParseModelConfig(text, "config.json").ok())
    (void)compressc::WithDType(text, "float16", "config.json");
  return 0;
}
