#include "RemarkFile.h"
#include "compressc/runtime/safetensors.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Remark/RemarkStreamer.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"

using namespace mlir;

namespace compressc {
namespace {

template <typename T> std::string printed(const T &item) {
  std::string text;
  llvm::raw_string_ostream(text) << item;
  return text;
}

} // namespace

StatusOr<std::unique_ptr<RemarkFile>> RemarkFile::Create(MLIRContext &context, const std::string &path) {
  std::unique_ptr<RemarkFile> file(new RemarkFile(context));
  file->path = path;
  file->temporary = absl::StrCat(path, ".tmp-", llvm::sys::Process::getProcessId());
  int descriptor;
  if (std::error_code error = llvm::sys::fs::openFileForWrite(file->temporary, descriptor))
    return IOError("--remarks=", path, " can't be written: ", error.message());
  llvm::sys::Process::SafelyCloseFileDescriptor(descriptor);
  remark::RemarkCategories every;
  every.all = every.passed = ".*";
  if (failed(remark::enableOptimizationRemarksWithLLVMStreamer(context, file->temporary, llvm::remarks::Format::YAML,
                                                               std::make_unique<remark::RemarkEmittingPolicyAll>(),
                                                               every)))
    return IOError("--remarks=", path, " can't be written");
  return file;
}

RemarkFile::~RemarkFile() {
  context.setRemarkEngine(nullptr);
  llvm::sys::fs::remove(temporary);
}

Status RemarkFile::commit() {
  context.setRemarkEngine(nullptr); // writes what is left
  COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadFile(temporary));
  return WithContext(WriteFileAtomically(path, text), absl::StrCat("--remarks=", path, " can't be written"));
}

void EmitRemarks(const std::vector<Decision> &decisions) {
  using Argument = remark::detail::Remark::Arg;
  for (const Decision &decision : decisions) {
    auto remark = remark::passed(decision.location, remark::RemarkOpts::name("decision")
                                                        .category(decision.pass)
                                                        .function(decision.function));
    // LLVM's location is a file and a line; ours are names of the model's values.
    remark << Argument("Location", printed(decision.location));
    for (const std::string &param : decision.params)
      remark << Argument("Subject", param);
    for (const auto &[name, value] : decision.numbers)
      remark << Argument(name, printed(llvm::format("%.6g", value)));
  }
}

} // namespace compressc
