// Runs passes and pipelines on textual IR: the tool of the lit tests.
#include "compressc/Pipelines/Pipelines.h"
#include "dialects/Compress/Compress.h"
#include "dialects/Exec/Exec.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<compressc::lm::LMDialect, compressc::compress::CompressDialect,
                  compressc::exec::ExecDialect, mlir::arith::ArithDialect, mlir::func::FuncDialect>();
  compressc::RegisterPassesAndPipelines();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "compressc optimiser: runs passes on lm, compress and exec IR\n", registry));
}
