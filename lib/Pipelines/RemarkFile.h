// The file of remarks: YAML, one document for each, as LLVM's remark tools read it.
#pragma once

#include "compressc/Materialize/Materialize.h"

namespace compressc {

/// Receives what MLIR's remark engine is told, under a temporary name beside `path` until commit().
class RemarkFile {
public:
  /// Enables the context's remark engine. Fails when the file can't be written.
  static StatusOr<std::unique_ptr<RemarkFile>> Create(mlir::MLIRContext &context, const std::string &path);
  /// Disables the engine again; a file that was not committed goes.
  ~RemarkFile();
  Status commit();

private:
  explicit RemarkFile(mlir::MLIRContext &context) : context(context) {}
  mlir::MLIRContext &context;
  std::string path, temporary;
};

/// Tells the remark engine each decision: the pass, the operation's location, the parameters and the numbers.
void EmitRemarks(const std::vector<Decision> &decisions);

} // namespace compressc
