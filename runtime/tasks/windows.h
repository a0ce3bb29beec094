// Windows of a text: what perplexity is measured on.
#pragma once

#include "runtime/tasks/task.h"
#include <optional>

namespace compressc {

struct WindowOptions {
  std::string data;
  int64_t context = 512, windows = 0;
  bool bos = false;

  /// --data, --context, --windows, --bos.
  void define(Options &options);
  /// The text of --data, or of the usual place.
  StatusOr<std::string> read() const;
};

/// The token that the tokenizer puts before every text; none when it does not.
std::optional<int32_t> BeginningToken(const Tokenizer &tokenizer);

/// Cuts the text, encoded as it is, in pieces, one behind the other, and takes the first `windows` of them, or all
/// whole ones. A piece is a window of `context` tokens; with `bos` it lacks one, and the window is the beginning token
/// and the piece. Each window is an item of one request, which predicts every token but the first.
StatusOr<Work> CutWindows(const std::string &text, const WindowOptions &options, const Tokenizer &tokenizer,
                          const ModelInfo &model);

} // namespace compressc
