// A family of models: one file of this folder says all that is special about it, for every front
// end. README.md one folder up walks through one.
#pragma once

#include "GraphBuilder.h"
#include "compressc/Import/CommonConfig.h"
#include "lib/Import/GGUF/GGUFMetadata.h"
#include "lib/Import/HuggingFace/ConfigFields.h"
#include <memory>

namespace compressc {

struct Decoder;

/// A model: the configuration of its family, checked.
class Model {
public:
  virtual ~Model() = default;
  virtual const CommonConfig &common() const = 0;
  CommonConfig &common() { return const_cast<CommonConfig &>(std::as_const(*this).common()); }
  /// Builds the graph from the table of the embedding to the logits, which it returns. Weights are
  /// declared in the order in which the model uses them.
  virtual GraphValue build(GraphBuilder &builder) const = 0;
  /// Adds to a config.json what other programs would derive from fields that passes change.
  virtual void completeConfig(ConfigJson &json) const {}
  /// What ONNX graphs are raised to, when this is such a model.
  virtual const Decoder *decoder() const { return nullptr; }
};

struct Family {
  const char *architecture; // of config.json's architectures
  const char *modelType;    // config.json's model_type
  const char *gguf;         // general.architecture

  /// From config.json. Every number is checked for its range, so sizes computed from the result do
  /// not overflow.
  StatusOr<std::unique_ptr<Model>> (*parse)(const ConfigFields &fields);
  /// The config.json that says what a GGUF file's metadata and tensors do. What a configuration of
  /// the family cannot say is an error.
  StatusOr<ConfigJson> (*configOfGGUF)(const Family &family, const GGUFMetadata &metadata);
  /// Writes what an ONNX graph computes into a config.json; false when it is another family's.
  bool (*configOfGraph)(const Family &family, const Decoder &graph, ConfigJson &config);
};

/// In the order in which messages list them.
const std::vector<const Family *> &Families();

/// The model that config.json describes; `where` names the file in messages.
StatusOr<std::unique_ptr<Model>> ParseModel(const std::string &text,
                                            const std::string &where = "config.json");

/// Adds the end tokens of generation_config.json, which may be more than config.json's.
Status AddEndTokens(CommonConfig &config, const std::string &text, const std::string &where);

/// The same config.json with another weight type ("float16", ...), under the keys that it uses.
std::string WithDType(ConfigJson config, const std::string &dtype);

} // namespace compressc
