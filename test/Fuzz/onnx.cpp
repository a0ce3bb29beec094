// An ONNX file: the graph, the model that it is raised to, and that model's configuration. Weights
// may lie in the file `weights` beside it, so that the input is what is parsed and not the numbers.
#include "fuzz.h"
#include "lib/Import/ONNX/ONNXConfig.h"
#include "lib/Import/ONNX/ONNXModel.h"
#include "test/TemporaryDirectory.h"

namespace {

/// With zeros for external data.
struct Folder : compressc::TemporaryDirectory {
  Folder() { std::filesystem::resize_file(write("weights", ""), 1 << 17); }
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Folder folder;
  std::string path = folder.write("model.onnx", std::string(compressc::fuzz::AsText(data, size)));
  auto graph = compressc::ONNXGraph::Open(path);
  if (!graph.ok())
    return 0;
  volatile uint8_t sink = 0;
  for (const compressc::ONNXValue &value : graph->values())
    if (const auto &tensor = value.initializer)
      for (int64_t i = 0; i < tensor->elements() * compressc::ONNXTypeSize(tensor->type); ++i)
        sink = uint8_t(sink ^ tensor->data[i]);
  auto model = compressc::RaiseONNX(*graph);
  if (!model.ok())
    return 0;
  std::string warning;
  (void)compressc::ONNXConfig(model->config, R"({"max_position_embeddings": 128})", "config.json",
                              warning);
  return 0;
}
