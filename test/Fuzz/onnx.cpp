// An ONNX file: the graph, the model that it is raised to, and that model's configuration. Weights
// may lie in the file `weights` beside it, so that the input is what is parsed and not the numbers.
#include "fuzz.h"
#include "lib/Import/ONNXConfig.h"
#include "lib/Import/ONNXModel.h"
#include <filesystem>
#include <fstream>

namespace {

/// A folder with zeros for external data, gone at exit.
struct Folder {
  std::filesystem::path path;

  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "fuzz-onnx-XXXXXX").string();
    if (!mkdtemp(name.data())) {
      std::perror("fuzz: no folder");
      std::abort();
    }
    path = name;
    std::ofstream(path / "weights").close();
    std::filesystem::resize_file(path / "weights", 1 << 17);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Folder folder;
  std::string path = (folder.path / "model.onnx").string();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char *>(data), std::streamsize(size));
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
