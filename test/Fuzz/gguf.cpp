// A GGUF file: metadata, tensors, and the Hugging Face files that are made of it.
#include "compressc/Import/GGUFModel.h"
#include "compressc/runtime/tokenizer.h"
#include "fuzz.h"
#include "lib/Import/Models/Family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  compressc::fuzz::WithFile(data, size, [](const std::string &path) {
    auto file = compressc::GGUFFile::Open(path);
    if (!file.ok())
      return;
    if (auto config = compressc::GGUFConfig(*file); config.ok())
      (void)compressc::ParseModel(*config, "config.json");
    if (auto text = compressc::GGUFTokenizer(*file); text.ok())
      if (auto tokenizer = compressc::Tokenizer::FromJson(*text, "tokenizer.json"); tokenizer.ok())
        (void)(*tokenizer)->encode("Hello  wörld 123\n", true);
    (void)compressc::GGUFCheckpointFiles(*file);
    volatile uint8_t sink = 0;
    for (const compressc::GGUFTensor &tensor : file->tensors()) {
      (void)file->dtype(tensor);
      for (int64_t i = 0; i < tensor.bytes; ++i)
        sink = uint8_t(sink ^ tensor.data[i]);
    }
  });
  return 0;
}
