// config.json.
#include "fuzz.h"
#include "lib/Import/Models/Family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(compressc::fuzz::AsText(data, size));
  if (compressc::ParseModel(text, "config.json").ok())
    (void)compressc::WithDType(*compressc::ParseConfigObject(text, "config.json"), "float16");
  return 0;
}
