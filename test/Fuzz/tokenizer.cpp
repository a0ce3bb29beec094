// tokenizer.json, and text through whatever tokenizer it describes. What follows a zero byte is the text.
#include "compressc/runtime/tokenizer.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input = compressc::fuzz::AsText(data, size);
  size_t end = input.find('\0');
  std::string text(end == std::string_view::npos ? "It's 2026: naïve  text\n\n" : input.substr(end + 1));
  auto tokenizer = compressc::Tokenizer::FromJson(input.substr(0, end), "tokenizer.json");
  if (tokenizer.ok())
    for (bool special : {false, true})
      (void)(*tokenizer)->decode((*tokenizer)->encode(text, special));
  return 0;
}
