// Digests of what values are computed from: the operations, the weights' contents, the calibration tokens.
#pragma once

#include "compressc/Materialize/Digest.h"
#include "compressc/Import/WeightStore.h"
#include "compressc/runtime/thread_pool.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace compressc {

/// Structural: an operation counts by its name, attributes, types and operands, a parameter by its type
/// and contents; where it stands, what it is called and where it came from do not matter. So equal digests
/// mean equal bits, and two pipelines share what they compute alike. Valid while the IR stays as it is.
class ValueDigests {
public:
  /// `environment`: what results depend on besides the graph. `tokens`: of the calibration set. `shares`: devices whose
  /// statistics are added up, in an order that depends on how many they are.
  ValueDigests(mlir::ModuleOp module, const WeightStore *weights, const Digest &environment, const Digest &tokens,
               size_t shares = 1)
      : module(module), weights(weights), environment(environment), tokens(tokens), shares(shares) {}

  /// Reads the parameters that values depend on, on all threads; get() would read them one by one.
  void readParameters(llvm::ArrayRef<mlir::Value> values, ThreadPool &pool);
  /// An error when a parameter can't be read.
  StatusOr<Digest> get(mlir::Value value);

private:
  StatusOr<Digest> compute(mlir::Value value);
  StatusOr<Digest> parameter(llvm::StringRef symbol);

  mlir::ModuleOp module;
  const WeightStore *weights;
  Digest environment, tokens;
  size_t shares;
  llvm::DenseMap<mlir::Value, Digest> known;
  llvm::StringMap<Digest> parameters;
  llvm::DenseMap<const Tensor *, Digest> contents;
};

/// The value that another stands for: a layer's argument is its input, a layer's result what it yields, a
/// calibrated activation the activation.
mlir::Value LookThrough(mlir::Value value);

/// Of this program (kernels, lowering and all) and the instruction set in use: another build may round
/// differently.
StatusOr<Digest> ProgramDigest();

} // namespace compressc
