// Encodes or decodes for the comparison with other tokenizers:
//   compressc-tokenize [--decode] [--bytes] [--keep-special] [--no-special] [--repeat N]
//   tokenizer.json
// reads one JSON value a line (a string, or with --decode a list of ids) and writes one a line.
// With
// --bytes a string holds a byte in each character (U+0000 to U+00FF). Time goes to standard error.
#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/tokenizer.h"
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

using namespace compressc;

/// CPU time, which other programs on the machine disturb less than the clock on the wall.
static double seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

static int fail(std::string_view message) {
  std::cerr << "compressc-tokenize: " << message << "\n";
  return 1;
}

/// Each character below U+0100 of UTF-8 text as one byte.
static std::string bytesOf(const std::string &text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = uint8_t(text[i]);
    if (c >= 0xC0 && i + 1 < text.size())
      c = uint8_t(c << 6 | (uint8_t(text[++i]) & 0x3F));
    bytes += char(c);
  }
  return bytes;
}

int main(int argc, char **argv) {
  bool decode = false, bytes = false, skipSpecial = true, addSpecial = true;
  int repeat = 1;
  std::string path;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--decode")
      decode = true;
    else if (argument == "--bytes")
      bytes = true;
    else if (argument == "--keep-special")
      skipSpecial = false;
    else if (argument == "--no-special")
      addSpecial = false;
    else if (argument == "--repeat" && i + 1 < argc)
      repeat = std::atoi(argv[++i]);
    else if (path.empty())
      path = argument;
    else
      return fail("unexpected argument " + argument);
  }
  if (path.empty())
    return fail("give a tokenizer.json");

  double start = seconds();
  StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::FromFile(path);
  if (!tokenizer.ok())
    return fail(std::string(tokenizer.status().message()));
  std::fprintf(stderr, "load %.3f s\n", seconds() - start);

  double spent = 0;
  size_t encoded = 0, produced = 0;
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json value = nlohmann::json::parse(line, nullptr, false);
    if (decode) {
      std::vector<int32_t> ids;
      if (!value.is_array())
        return fail("a line is not a list of ids");
      for (const nlohmann::json &id : value) {
        if (!id.is_number_integer())
          return fail("a line is not a list of ids");
        ids.push_back(id.get<int32_t>());
      }
      std::cout << nlohmann::json((*tokenizer)->decode(ids, skipSpecial)).dump(-1, ' ', true)
                << "\n";
      continue;
    }
    if (!value.is_string())
      return fail("a line is not a JSON string");
    std::string text = value.get<std::string>();
    if (bytes)
      text = bytesOf(text);
    std::vector<int32_t> ids;
    start = seconds();
    for (int i = 0; i < repeat; ++i)
      ids = (*tokenizer)->encode(text, addSpecial);
    spent += seconds() - start;
    encoded += text.size() * size_t(repeat);
    produced += ids.size() * size_t(repeat);
    line = "[";
    for (size_t i = 0; i < ids.size(); ++i)
      line.append(i ? "," : "").append(std::to_string(ids[i]));
    std::cout << line << "]\n";
  }
  if (!decode)
    std::fprintf(stderr, "encode %.3f MB, %zu ids, %.3f s, %.2f MB/s\n", double(encoded) * 1e-6,
                 produced, spent, double(encoded) * 1e-6 / spent);
  return 0;
}
