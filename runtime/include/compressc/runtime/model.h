// A deployed model: OUT/run's schedule, OUT/model's weights and tokenizer.
#pragma once

#include "compressc/runtime/device.h"
#include "compressc/runtime/planner.h"
#include "compressc/runtime/safetensors.h"
#include "compressc/runtime/session.h"
#include "compressc/runtime/tokenizer.h"
#include <memory>
#include <string>

namespace compressc {

/// Facts the compiler puts beside the schedule (JSON object "model" of the payload).
struct ModelInfo {
  std::string name;                 // e.g. "SmolLM2-135M-Instruct"
  std::string architecture;         // informative only
  std::string pipeline;             // the --passes text, "" for a base
  int64_t vocabularySize = 0;       // columns of the logits
  int64_t contextLength = 0;        // max_position_embeddings
  int64_t originalWeightBytes = 0;  // all parameters at 16 bits
  int64_t weightBytes = 0;          // the checkpoint's file
  std::vector<int32_t> endTokens;   // generation stops at these
  std::string device = "cpu";       // where it runs unless asked otherwise: "cpu" or "cuda"
  bool addSpecialTokens = false;    // encode prompts with the tokenizer's template (BOS), as HF does
};

struct ModelOptions {
  /// Walk the schedule even if a compiled program is linked in; the results are the same.
  bool interpret = false;
  /// The file that holds what the payload's "files" name.
  std::string executable = "/proc/self/exe";
  /// "cpu" or "cuda"; "": what it was compiled for.
  std::string device = "";
  /// Opens a GPU when it is asked for; null: there is none.
  StatusOr<std::unique_ptr<Device>> (*openCuda)(const DeviceOptions &) = nullptr;
  DeviceOptions cuda = {};
  /// The GPUs to run on, each with the whole model: they share what is scored. The first does the rest.
  std::vector<int> devices = {0};
};

/// The tokens whose log-probabilities are wanted.
struct Targets {
  /// Those of a wanted position: `count` tokens of the vocabulary.
  std::function<absl::Span<const int32_t>(int32_t request, int32_t position)> tokens;
  int64_t count = 1;
  /// Normalised over each other, not over the vocabulary: no other logits are computed. Every position has the
  /// same tokens then.
  bool alone = false;
  /// Positions whose results are there already; null: none. A batch is not run when all of its results are and no
  /// other batch continues it; else it gives them again.
  std::function<bool(int32_t request, int32_t position)> known = {};
};
/// Natural logarithms, one for each target of the position; valid during the call.
using ScoreCallback =
    std::function<Status(int32_t request, int32_t position, absl::Span<const double> logProbabilities)>;

class Model {
public:
  /// `payload` = {"model": {...}, "schedule": {...}} as compressc appended it to the executable;
  /// `directory` holds model/, unless the payload's "files" say that the executable holds it.
  static StatusOr<std::unique_ptr<Model>> Open(std::string_view payload, const std::string &directory,
                                               ThreadPool &pool, const ModelOptions &options = {});
  const ModelInfo &info() const { return modelInfo; }
  const Tokenizer &tokenizer() const { return *tokens; }
  Session &session() { return *runners.front()->session; }
  PlannerLimits limits() const;
  /// Differs when the files of the weights do; changes when they are written again.
  std::string weightsIdentity() const;

  /// What runs the model; null: the CPU.
  const Device *device() const { return runners.front()->device.get(); }
  /// All GPUs that do.
  std::vector<const Device *> devices() const;

  /// Runs one batch through "forward" and returns the logits [selected rows, vocabulary], fp32, on the host.
  StatusOr<Tensor> forward(const Batch &batch);

  /// Plans the requests, runs every batch and calls `onScore` once for each wanted position, in a deterministic order;
  /// `onBatch` follows each batch, run or not. On a device the results of a batch are read while the next one is
  /// computed. With several devices each has its share of the plans, a thread, and an order of its own; calls never
  /// overlap, and the results do not depend on how many there are. When they are not finite, the error names the call
  /// that first gave NaN or infinity.
  Status score(const std::vector<Request> &requests, const Targets &targets, const ScoreCallback &onScore,
               const std::function<void(const PlannedBatch &)> &onBatch = {});

  /// Plans the requests, runs every batch and gives the logits [selected rows, vocabulary] of its uses, fp32, on the
  /// host. With several devices the first does it. Errors as with score().
  Status logits(const std::vector<Request> &requests,
                const std::function<Status(const PlannedBatch &batch, const float *logits)> &onBatch);

  /// The logits behind the last of these tokens, [vocabulary].
  Status lastLogits(const std::vector<int32_t> &tokens, float *out);

private:
  Model() = default;
  struct Pending;
  struct Part;
  struct Scoring;
  /// The model on the CPU or on one GPU.
  struct Runner {
    std::string name; // that errors name one of several by
    std::unique_ptr<ThreadPool> threads;
    std::unique_ptr<Device> device; // outlives the session
    std::vector<std::unique_ptr<float[]>> sums; // weights that the session reads
    std::unique_ptr<Session> session;
    Status named(const Status &status) const { return name.empty() ? status : WithContext(status, name); }
  };
  Status open(Runner &runner, Schedule schedule, ThreadPool &threads, const ModelOptions &options, int index);
  Status score(Runner &runner, absl::Span<const Part *const> parts, Scoring &scoring);
  Status start(Runner &runner, const PlannedBatch &planned, const Targets &targets, Pending &pending);
  Status finish(Runner &runner, const Pending &pending, Scoring &scoring);
  Status notFinite(Runner &runner, const Plan &plan, const RowUse &use);

  ModelInfo modelInfo;
  SafetensorsReader weights;
  std::unique_ptr<Tokenizer> tokens;
  ThreadPool *pool = nullptr;
  std::vector<std::unique_ptr<Runner>> runners;
  std::vector<float> hostLogits; // of the newest batch, when a device runs the model
};

std::string SerializeModelInfo(const ModelInfo &info); // the JSON object
StatusOr<ModelInfo> ParseModelInfo(std::string_view json);

/// The payload behind an executable: [ELF][JSON][u64 length]["CPRSSC01"]. Absent: NotFound.
StatusOr<std::string> ReadPayload(const std::string &executable);
/// A file that an executable carries inside, page-aligned; the payload's "files" say where.
struct EmbeddedFile {
  std::string name; // as in model/, "model.safetensors"
  std::string path; // what is copied
};
/// Copies `runtime` to `output`, appends files and the payload (a JSON object), makes it executable.
Status WriteExecutable(const std::string &runtime, const std::string &output, std::string_view payload,
                       const std::vector<EmbeddedFile> &files = {});

} // namespace compressc
