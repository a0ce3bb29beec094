// The C interface of a compiled model.
#include "compressc/compressc.h"
#include "runtime/tasks/generate.h"
#include <cstring>
#include <dlfcn.h>
#include <filesystem>

using namespace compressc;

struct compressc_model {
  explicit compressc_model(int threads) : pool(threads) {}
  ThreadPool pool;
  std::unique_ptr<Model> model;
};

namespace {

char *copy(std::string_view text) {
  auto *result = static_cast<char *>(std::malloc(text.size() + 1));
  if (result) {
    std::memcpy(result, text.data(), text.size());
    result[text.size()] = 0;
  }
  return result;
}

/// Stores the message and returns whether the status is an error.
bool failed(const Status &status, char **error) {
  if (error)
    *error = status.ok() ? nullptr : copy({status.message().data(), status.message().size()});
  return !status.ok();
}

/// The file that this code was loaded from.
StatusOr<std::string> libraryPath() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&compressc_open), &info) || !info.dli_fname)
    return Invalid("the library's own file cannot be found");
  return std::string(info.dli_fname);
}

Status open(compressc_model &model, const char *directory) {
  COMPRESSC_ASSIGN_OR_RETURN(std::string library, libraryPath());
  COMPRESSC_ASSIGN_OR_RETURN(std::string payload, ReadPayload(library));
  std::string folder = directory ? directory : std::filesystem::path(library).parent_path().string();
  ModelOptions options;
  options.executable = library;
  COMPRESSC_ASSIGN_OR_RETURN(model.model, Model::Open(payload, folder.empty() ? "." : folder, model.pool, options));
  return absl::OkStatus();
}

Status logits(Model &model, const int32_t *tokens, int64_t count, float *out) {
  if (count < 1 || count > model.info().contextLength)
    return Invalid(count, " tokens; it takes 1 to ", model.info().contextLength);
  for (int64_t i = 0; i < count; ++i)
    if (tokens[i] < 0 || tokens[i] >= model.info().vocabularySize)
      return Invalid("token ", tokens[i], " is not one of ", model.info().vocabularySize);
  return model.lastLogits({tokens, tokens + count}, out);
}

StatusOr<std::string> generate(Model &model, const char *prompt, const compressc_generation *wanted,
                               int (*onText)(const char *, size_t, void *), void *user) {
  GenerationOptions options;
  if (wanted) {
    if (wanted->max_tokens)
      options.maxTokens = wanted->max_tokens;
    options.sampling.temperature = wanted->temperature;
    options.sampling.topP = wanted->top_p == 0 ? 1 : wanted->top_p;
    options.sampling.topK = wanted->top_k;
    options.sampling.seed = wanted->seed;
    for (size_t i = 0; i < wanted->stop_count; ++i)
      options.stops.push_back(wanted->stops[i]);
  }
  GenerationCallbacks callbacks;
  if (onText)
    callbacks.onText = [&](size_t, std::string_view text) { return onText(text.data(), text.size(), user) != 0; };
  std::vector<int32_t> tokens = model.tokenizer().encode(prompt, model.info().addSpecialTokens);
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<Generation> results,
                             Generate(GenerationModelOf(model), {tokens}, options, callbacks));
  return std::move(results[0].text);
}

} // namespace

compressc_model *compressc_open(const char *directory, int threads, char **error) {
  if (threads < 0 || threads > 4096) {
    failed(Invalid("threads = ", threads, "; it must be 0 to 4096"), error);
    return nullptr;
  }
  auto model = std::make_unique<compressc_model>(threads);
  return failed(open(*model, directory), error) ? nullptr : model.release();
}

void compressc_close(compressc_model *model) { delete model; }

int64_t compressc_vocabulary_size(const compressc_model *model) { return model->model->info().vocabularySize; }
int64_t compressc_context_length(const compressc_model *model) { return model->model->info().contextLength; }

int64_t compressc_encode(const compressc_model *model, const char *text, size_t bytes, int32_t *tokens,
                         int64_t capacity) {
  const Model &opened = *model->model;
  std::vector<int32_t> ids = opened.tokenizer().encode({text, bytes}, opened.info().addSpecialTokens);
  for (int64_t i = 0; i < std::min<int64_t>(capacity, int64_t(ids.size())); ++i)
    tokens[i] = ids[size_t(i)];
  return int64_t(ids.size());
}

char *compressc_decode(const compressc_model *model, const int32_t *tokens, int64_t count, char **error) {
  for (int64_t i = 0; i < count; ++i)
    if (tokens[i] < 0 || tokens[i] >= model->model->info().vocabularySize) {
      failed(Invalid("token ", tokens[i], " is not one of ", model->model->info().vocabularySize), error);
      return nullptr;
    }
  failed(absl::OkStatus(), error);
  return copy(model->model->tokenizer().decode(absl::MakeConstSpan(tokens, size_t(count))));
}

int compressc_logits(compressc_model *model, const int32_t *tokens, int64_t count, float *out, char **error) {
  return failed(logits(*model->model, tokens, count, out), error) ? -1 : 0;
}

char *compressc_generate(compressc_model *model, const char *prompt, const compressc_generation *options,
                         int (*onText)(const char *, size_t, void *), void *user, char **error) {
  StatusOr<std::string> text = generate(*model->model, prompt, options, onText, user);
  return failed(text.status(), error) ? nullptr : copy(*text);
}

void compressc_free(void *text) { std::free(text); }
