#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "compressc/runtime/progress.h"
#include "runtime/tasks/commands.h"
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/perplexity.h"
#include "runtime/tasks/text.h"
#include <chrono>
#include <cstdio>
#include <filesystem>

ABSL_FLAG(int64_t, context, 512, "tokens of a window");
ABSL_FLAG(int64_t, windows, 0, "windows");

namespace compressc {
namespace {

StatusOr<std::string> findText() {
  if (std::string data = absl::GetFlag(FLAGS_data); !data.empty())
    return data;
  std::string shared = "../shared/data/wikitext2_test.raw.gz";
  std::error_code error;
  if (std::filesystem::exists(shared, error))
    return shared;
  return Invalid("found no ", shared, "; pass --data FILE, a text or a gzip-packed text");
}

Status runPerplexity() {
  int64_t context = absl::GetFlag(FLAGS_context), windows = absl::GetFlag(FLAGS_windows);
  COMPRESSC_RETURN_IF_ERROR(CheckRange("context", double(context), 2, 1 << 24));
  COMPRESSC_RETURN_IF_ERROR(CheckRange("windows", double(windows), 0, 1e9));
  COMPRESSC_ASSIGN_OR_RETURN(std::string path, findText());
  COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadTextFile(path, size_t(1) << 30));
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment());
  Model &model = *deployment->model;
  if (context > model.info().contextLength)
    return Invalid("--context ", context, " is longer than the model's context of ",
                   model.info().contextLength, " tokens");

  std::vector<int32_t> ids = model.tokenizer().encode(text, /*addSpecialTokens=*/false);
  int64_t count = windows > 0 ? windows : int64_t(ids.size()) / context;
  auto start = std::chrono::steady_clock::now();
  Progress progress("perplexity", count * (context - 1), "tokens", absl::GetFlag(FLAGS_quiet));
  GpuUseWatch watch(model);
  COMPRESSC_ASSIGN_OR_RETURN(PerplexityResult result,
                             MeasurePerplexity(ScorerOf(model), model.info().vocabularySize, ids,
                                               context, windows, [&] { progress.advance(); }));
  progress.finish();
  std::vector<GpuUse> gpus = watch.end();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  std::string jsonPath = absl::GetFlag(FLAGS_json);
  if (!jsonPath.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(jsonPath, PerplexityJson(result, model.info(), seconds, gpus)));
  std::string report = absl::StrFormat(
      "perplexity  %.4f\nwindows     %d of %d tokens, %s predicted\nweights     %s, %s at 16 bits\n"
      "time        %.1f s, %.1f tokens/s\n",
      result.perplexity(), result.windows, result.context, FormatCount(result.tokens),
      FormatBytes(model.info().weightBytes), FormatBytes(model.info().originalWeightBytes), seconds,
      double(result.windows * result.context) / std::max(seconds, 1e-9));
  std::fputs(report.c_str(), jsonPath == "-" ? stderr : stdout);
  return absl::OkStatus();
}

} // namespace

Command PerplexityCommand() {
  return {"perplexity",
          "Measure perplexity on a text",
          "Encodes the file as it is, without special tokens, and cuts it into windows one after "
          "the other. Every token of a window but the first is predicted from those before it in "
          "the window; the perplexity is exp of the mean loss.",
          {{"data", "FILE",
            "UTF-8 text, plain or packed with gzip. Default: "
            "../shared/data/wikitext2_test.raw.gz."},
           {"context", "N", "Tokens of a window, from 2 to the model's context length."},
           {"windows", "N", "How many windows from the beginning; 0: all whole ones."},
           {"json", "FILE", "Write the result to a JSON file; - is standard output."},
           ModelFlag(),
           ThreadsFlag(),
           DeviceFlag(), DevicesFlag(), GpuMemoryFlag(), HalfFlag(), InterpretFlag(),
           QuietFlag()},
          "perplexity --windows 16\n"
          "perplexity --data text.txt --context 2048 --json perplexity.json",
          runPerplexity};
}

} // namespace compressc
