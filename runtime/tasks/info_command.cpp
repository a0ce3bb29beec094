#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "runtime/tasks/commands.h"
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/json_text.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/text.h"
#include <cstdio>
#include <map>

namespace compressc {
namespace {

/// Kernel, with its arithmetic when that isn't f32 → calls in all entry points.
std::map<std::string, int64_t> countKernels(const Schedule &schedule) {
  std::map<std::string, int64_t> counts;
  for (const EntryPoint &entry : schedule.entries)
    for (const Call &call : entry.calls) {
      std::string compute = call.attributes.getStringOr("compute", "f32");
      ++counts[compute == "f32" ? call.kernel : absl::StrCat(call.kernel, " ", compute)];
    }
  return counts;
}

nlohmann::ordered_json describe(Model &model, int threads) {
  const ModelInfo &info = model.info();
  const Schedule &schedule = model.session().schedule();
  PlannerLimits limits = model.limits();
  nlohmann::ordered_json json;
  json["name"] = info.name;
  json["architecture"] = info.architecture;
  json["pipeline"] = info.pipeline;
  json["weight_bytes"] = info.weightBytes;
  json["original_weight_bytes"] = info.originalWeightBytes;
  json["context_length"] = info.contextLength;
  json["vocabulary_size"] = info.vocabularySize;
  json["end_tokens"] = info.endTokens;
  json["adds_special_tokens"] = info.addSpecialTokens;
  json["max_batch_tokens"] = limits.maxTokens;
  json["max_selected_rows"] = limits.maxSelected;
  json["cache_slots"] = limits.cacheSlots;
  json["arena_bytes"] = schedule.arenaBytes;
  json["entry_points"] = nlohmann::ordered_json::object();
  for (const EntryPoint &entry : schedule.entries)
    json["entry_points"][entry.name] = entry.calls.size();
  json["kernels"] = countKernels(schedule);
  json["instruction_set"] = std::string(InstructionSet());
  json["threads"] = threads;
  return json;
}

void print(const Model &model, const Schedule &schedule, int threads) {
  const ModelInfo &info = model.info();
  PlannerLimits limits = model.limits();
  auto line = [](absl::string_view name, absl::string_view value) {
    std::printf("%-16.*s %.*s\n", int(name.size()), name.data(), int(value.size()), value.data());
  };
  line("model", info.name);
  line("architecture", info.architecture);
  line("pipeline", info.pipeline.empty() ? "(none: the model as it was)" : info.pipeline);
  line("weights", FormatBytes(info.weightBytes));
  line("at 16 bits",
       absl::StrCat(FormatBytes(info.originalWeightBytes),
                    info.weightBytes > 0
                        ? absl::StrFormat(", ratio %.3f", double(info.originalWeightBytes) /
                                                              double(info.weightBytes))
                        : ""));
  line("context", absl::StrCat(FormatCount(info.contextLength), " tokens"));
  line("vocabulary", FormatCount(info.vocabularySize));
  line("batch", absl::StrCat(FormatCount(limits.maxTokens), " tokens, ",
                             FormatCount(limits.maxSelected), " rows of logits"));
  line("cache", absl::StrCat(FormatCount(limits.cacheSlots), " slots"));
  line("arena", FormatBytes(schedule.arenaBytes));
  auto appendCount = [](std::string *out, const auto &item) {
    absl::StrAppend(out, item.first, " (", item.second, ")");
  };
  std::map<std::string, int64_t> entries;
  for (const EntryPoint &entry : schedule.entries)
    entries[entry.name] = int64_t(entry.calls.size());
  line("entry points", absl::StrJoin(entries, ", ", appendCount));
  line("kernels", absl::StrJoin(countKernels(schedule), ", ", appendCount));
  line("instructions", std::string(InstructionSet()));
  line("threads", absl::StrCat(threads));
}

struct InfoOptions {
  std::string json;
  DeploymentOptions deployment;
};

Status runInfo(const InfoOptions &options) {
  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment(options.deployment));
  Model &model = *deployment->model;
  int threads = deployment->pool.threads();
  if (!options.json.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(options.json, JsonText(describe(model, threads))));
  if (options.json != "-")
    print(model, model.session().schedule(), threads);
  return absl::OkStatus();
}

} // namespace

Command InfoCommand() {
  Command command = {"info", "Show sizes, pipeline and kernels",
                     "Shows what this program was compiled from and to: sizes in bytes, the compression "
                     "pipeline, the entry points and kernels with their number of calls, and the instruction "
                     "set in use.",
                     "info\ninfo --json"};
  auto options = std::make_shared<InfoOptions>();
  command.options.add("json", "FILE", options->json, "Write it as JSON; - or nothing is standard output.").alone("-");
  options->deployment.define(command.options, false);
  command.main = [options] { return runInfo(*options); };
  command.state = options;
  return command;
}

} // namespace compressc
