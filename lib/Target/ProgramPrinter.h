// What emitters of source share: names of values, weights and layers, tables of layers, entry points.
#pragma once

#include "compressc/runtime/status.h"
#include "dialects/Exec/Exec.h"
#include "dialects/Exec/Storage.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace compressc {

/// A number that reads back as itself.
std::string SourceNumber(double value);

/// The constants of a call.
struct CallConstants {
  mlir::DictionaryAttr attributes;

  int64_t integer(llvm::StringRef name, int64_t fallback = 0) const;
  double real(llvm::StringRef name, double fallback) const;
  llvm::StringRef text(llvm::StringRef name) const;
  mlir::ArrayAttr list(llvm::StringRef name) const { return attributes.getAs<mlir::ArrayAttr>(name); }
};

/// The operands of a call by their names in the kernel's row.
class CallOperands {
public:
  explicit CallOperands(exec::CallOp call);
  /// All of this name.
  llvm::ArrayRef<mlir::Attribute> all(llvm::StringRef name) const;
  /// The only one; null where there is none.
  mlir::Attribute one(llvm::StringRef name) const;

private:
  llvm::ArrayRef<mlir::Attribute> inputs;
  OperandLayout layout;
};

/// Of a call of `linear`: as its weights, null where one has none; empty: no biases.
llvm::SmallVector<mlir::Attribute> BiasesOf(exec::CallOp call);
/// What gates it, "silu" ...; empty: nothing does.
llvm::StringRef GateOf(exec::CallOp call);
/// "Compute::BF16" ...
std::string ComputeOf(exec::CallOp call);

/// Walks a program and prints what does not depend on the language of the kernels' calls.
class ProgramPrinter {
public:
  ProgramPrinter(exec::ProgramOp program, llvm::raw_ostream &out) : program(program), out(out) {}
  virtual ~ProgramPrinter() = default;

  Status run(llvm::StringRef title);

protected:
  /// What follows the comment on what it is: a line more of it, includes.
  virtual void printHeader() = 0;
  /// `Weight` or the like, of a weight of this type.
  virtual std::string weightType(mlir::Type type) const = 0;
  /// " // tensor<64xf16>", where weightType does not say it.
  virtual std::string weightComment(mlir::Type type) const;
  /// The constant's initialiser.
  virtual std::string weightPlace(int64_t place) const = 0;
  virtual void printValue(exec::BufferOp buffer, llvm::StringRef name) = 0;
  /// Types that calls need.
  virtual void printDefinitions() {}
  virtual void printRmsNorm(exec::CallOp call) = 0;
  virtual void printRotary(exec::CallOp call) = 0;
  virtual void printAttention(exec::CallOp call) = 0;
  virtual Status printLinear(exec::CallOp call) = 0;
  /// Of the kernels' calls.
  virtual llvm::StringRef language() const = 0;
  /// The definition that the runtime looks for.
  virtual llvm::StringRef definition() const = 0;

  /// As C++ takes it: "self_attn.q_proj.weight" -> "self_attn_q_proj".
  static std::string identifier(llvm::StringRef name);
  std::string unique(std::string name);
  std::string operand(mlir::Attribute attribute) const;
  std::string operands(llvm::ArrayRef<mlir::Attribute> attributes) const;
  /// What a weight or a layer's parameter is; null for a cache.
  mlir::Type typeOf(mlir::Attribute attribute) const;
  exec::BufferOp bufferOf(mlir::Attribute attribute) const;
  std::string activation(llvm::StringRef kind) const;

  exec::ProgramOp program;
  llvm::raw_ostream &out;
  llvm::MapVector<mlir::Attribute, std::string> frequencies;

private:
  void collect();
  void printWeights();
  void printValues();
  void printFrequencies();
  Status printFunction(exec::FunctionOp function);
  Status printCall(exec::CallOp call);
  void printTableCall(exec::CallOp call);
  Status printEntry(exec::EntryOp entry);

  int64_t weights = 0, caches = 0;
  llvm::DenseMap<mlir::StringAttr, int64_t> places;
  llvm::DenseMap<mlir::StringAttr, std::string> identifiers;
  llvm::DenseMap<mlir::StringAttr, mlir::Type> types;
  llvm::SetVector<mlir::StringAttr> named;
  llvm::StringSet<> taken;
};

} // namespace compressc
