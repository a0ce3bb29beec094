// The three kinds of checkpoint as the importer sees them: small files, a name and a weight store.
#pragma once

#include "BuildModule.h"
#include <map>

namespace compressc {

struct CheckpointSource {
  std::string name;
  std::string configPath;                   // for messages
  std::map<std::string, std::string> files; // config.json among them
  std::shared_ptr<WeightStore> weights;     // null when only the configuration was asked for
  std::vector<std::string> warnings;
  /// Whether a tensor that is no parameter is worth a warning: a graph has constants too.
  bool onlyParameters = true;
  BindWeight bind; // to the store's tensors
  bool gguf = false;
};

/// `path` as ImportModel takes it.
StatusOr<CheckpointSource> OpenCheckpoint(const std::string &path, bool configOnly);

} // namespace compressc
