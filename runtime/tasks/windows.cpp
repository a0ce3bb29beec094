#include "runtime/tasks/windows.h"
#include "compressc/runtime/safetensors.h"
#include <filesystem>
#include <numeric>

namespace compressc {

void WindowOptions::define(Options &options) {
  options.add("data", "FILE", data,
              "UTF-8 text, plain or packed with gzip. Default: ../shared/data/wikitext2_test.raw.gz.");
  options.add("context", "N", context, "Tokens of a window, from 2 to the model's context length.")
      .within(2, 1 << 24);
  options.add("windows", "N", windows, "How many windows from the beginning; 0: all whole ones.").within(0, 1e9);
  options.add("bos", "", bos,
              "Each window is the model's beginning token and N - 1 tokens of the text, all of which are predicted.");
}

StatusOr<std::string> WindowOptions::read() const {
  std::string path = data.empty() ? "../shared/data/wikitext2_test.raw.gz" : data;
  std::error_code error;
  if (data.empty() && !std::filesystem::exists(path, error))
    return Invalid("found no ", path, "; pass --data FILE, a text or a gzip-packed text");
  return ReadTextFile(path, size_t(1) << 30);
}

std::optional<int32_t> BeginningToken(const Tokenizer &tokenizer) {
  std::vector<int32_t> with = tokenizer.encode("a", true), without = tokenizer.encode("a", false);
  if (with.size() <= without.size() || (!without.empty() && with[0] == without[0]))
    return std::nullopt;
  return with[0];
}

StatusOr<Work> CutWindows(const std::string &text, const WindowOptions &options, const Tokenizer &tokenizer,
                          const ModelInfo &model) {
  if (options.context > model.contextLength)
    return Invalid("--context ", options.context, " is longer than the model's context of ", model.contextLength,
                   " tokens");
  if (options.context < 2)
    return Invalid("--context must be at least 2 tokens");
  std::vector<int32_t> first;
  if (options.bos) {
    std::optional<int32_t> token = BeginningToken(tokenizer);
    if (!token)
      return Invalid("--bos: the model's tokenizer puts no beginning token before a text; leave --bos out");
    first = {*token};
  }
  std::vector<int32_t> ids = tokenizer.encode(text, /*addSpecialTokens=*/false);
  int64_t piece = options.context - int64_t(first.size());
  int64_t available = int64_t(ids.size()) / piece;
  if (available == 0 || options.windows > available)
    return Invalid("the text has ", ids.size(), " tokens, enough for ", available, " windows of ",
                   options.context, "; pass a smaller --windows or --context, or a longer text");
  Work work;
  work.requests.resize(size_t(options.windows > 0 ? options.windows : available));
  for (size_t window = 0; window < work.requests.size(); ++window) {
    Request &request = work.requests[window];
    auto begin = ids.begin() + int64_t(window) * piece;
    request.tokens = first;
    request.tokens.insert(request.tokens.end(), begin, begin + piece);
    for (int32_t id : request.tokens)
      if (id < 0 || id >= model.vocabularySize)
        return Invalid("the text has token ", id, ", but the model has ", model.vocabularySize, " logits");
    request.wanted.resize(request.tokens.size() - 1);
    std::iota(request.wanted.begin(), request.wanted.end(), 0);
    work.items.push_back(window);
    work.targets.emplace_back(request.tokens.begin() + 1, request.tokens.end());
  }
  return work;
}

} // namespace compressc
