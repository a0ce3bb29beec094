// report.json: sizes, and what each pass chose.
#include "compressc/Export/Export.h"

using nlohmann::ordered_json;

namespace compressc {

std::string Report(const ReportInputs &inputs, const MaterializeReport &result) {
  ordered_json report;
  report["model"] = inputs.info.name;
  report["architecture"] = inputs.info.architecture;
  report["passes"] = inputs.info.pipeline;
  report["checkpoint_type"] = inputs.checkpointType;
  report["compute"] = inputs.compute;
  report["activations"] = inputs.activations;
  report["parameters"] = result.parameters;
  report["original_weight_bytes"] = result.originalWeightBytes;
  report["weight_bytes"] = result.weightBytes;
  report["ratio"] = double(result.originalWeightBytes) / double(result.weightBytes);
  if (inputs.samples > 0)
    report["calibration"] = {{"file", inputs.calibrationFile},
                             {"samples", inputs.samples},
                             {"sequence_length", inputs.sequenceLength},
                             {"tokens_sha256", inputs.tokenDigest}};
  // Seconds would differ from run to run; they are in the summary.
  if (!inputs.gpus.empty()) {
    const ReportInputs::Gpu &first = inputs.gpus.front();
    report["computed_on"] = {{"device", first.name}, {"slices", result.slices}, {"on_device", result.slicesOnDevice},
                             {"allocated_bytes", first.allocatedBytes}};
    if (first.usage)
      report["computed_on"]["usage"] = DeviceUsageJson(*first.usage);
    if (inputs.gpus.size() > 1)
      for (const ReportInputs::Gpu &gpu : inputs.gpus) {
        ordered_json &json = report["computed_on"]["gpus"].emplace_back();
        json["number"] = gpu.number;
        json["name"] = gpu.name;
        json["allocated_bytes"] = gpu.allocatedBytes;
        if (gpu.usage)
          json["usage"] = DeviceUsageJson(*gpu.usage);
      }
  }
  ordered_json decisions = ordered_json::array();
  for (const Decision &decision : result.decisions) {
    ordered_json row;
    row["pass"] = decision.pass;
    row["weights"] = decision.params;
    for (const auto &[name, value] : decision.numbers)
      if (name == "kind") // compress.awq_scale's first number
        row[name] = value == 0 ? "identity" : value == 1 ? "duo" : "plain";
      else
        row[name] = value;
    decisions.push_back(std::move(row));
  }
  report["decisions"] = std::move(decisions);
  return report.dump(1) + "\n";
}

} // namespace compressc
