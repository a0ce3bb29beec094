#include "gemm.h"
#include "isa/functions.h"
#include <algorithm>

namespace compressc {
namespace {

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// How a product is cut into tasks. Only speed depends on it.
struct Split {
  int64_t rows = 0;    // of x in a task
  int64_t columns = 0; // of the result in a task
};

/// Tries the sensible sizes and takes the one whose slowest thread is done first.
Split chooseSplit(int64_t M, int64_t N, int threads, const TileShape &shape, const TaskLimits &limits) {
  int64_t panels = divideUp(N, shape.columns), fewest = divideUp(M, limits.rows);
  int64_t lastTotal = -1;
  double best = 0;
  Split split;
  for (int64_t rowTasks = fewest; rowTasks <= fewest * 4; ++rowTasks) {
    int64_t rows = divideUp(divideUp(M, rowTasks), shape.rows) * shape.rows;
    int64_t rowBlocks = divideUp(M, rows);
    if (rowBlocks == lastTotal)
      continue;
    lastTotal = rowBlocks;
    for (int64_t group = std::min(panels, limits.panels); group >= 1; --group) {
      double task = double(group) * (double(std::min(rows, M)) + limits.expandPanel) +
                    double(rows) * limits.copyRow;
      double time = double(divideUp(rowBlocks * divideUp(panels, group), threads)) * task;
      if (split.rows == 0 || time < best) {
        best = time;
        split = {rows, group * shape.columns};
      }
    }
  }
  return split;
}

} // namespace

void Gemm(KernelContext &context, int64_t M, int64_t K, const float *x, int64_t ldx,
          absl::Span<const GemmProduct> products) {
  int64_t N = 0;
  bool gated = false, bf16 = false;
  for (const GemmProduct &product : products) {
    N += product.columns;
    gated |= product.gate != nullptr;
    bf16 |= product.bf16;
  }
  if (M <= 0 || N <= 0)
    return;
  TileShape shape = COMPRESSC_ISA_CALL(tileShape);
  Split split =
      chooseSplit(M, N, context.pool.threads(), shape, COMPRESSC_ISA_CALL(taskLimits, M, K, bf16));
  int64_t columnTasks = 0;
  for (const GemmProduct &product : products)
    columnTasks += divideUp(product.columns, split.columns);
  int64_t gateFloats = gated ? std::min(split.rows, M) * split.columns : 0;
  int64_t floats = 0;
  auto needScratch = [&](const Int8Rows *int8) {
    floats = std::max(floats, int8 ? COMPRESSC_ISA_CALL(int8ScratchFloats, split.rows, K,
                                                        int8->format.group)
                                   : COMPRESSC_ISA_CALL(gemmScratchFloats, split.rows,
                                                        split.columns, K, bf16));
  };
  for (const GemmProduct &product : products) {
    needScratch(product.int8);
    if (product.gate)
      needScratch(product.gateInt8);
  }
  context.pool.parallelFor(divideUp(M, split.rows) * columnTasks, [&](int64_t task, int worker) {
    int64_t row = task / columnTasks * split.rows, column = task % columnTasks;
    const GemmProduct *product = products.data();
    for (; column >= divideUp(product->columns, split.columns); ++product)
      column -= divideUp(product->columns, split.columns);
    column *= split.columns;
    int64_t rows = std::min(split.rows, M - row),
            columns = std::min(product->columns - column, split.columns);
    float *gate = static_cast<float *>(
        context.scratch.worker(worker, size_t(gateFloats + floats) * sizeof(float)));
    float *scratch = gate + gateFloats;

    auto multiply = [&](const WeightMatrix *w, const Int8Rows *int8, float *out, int64_t ldo,
                        const GemmEpilogue &epilogue) {
      if (int8)
        COMPRESSC_ISA_CALL(int8Block,
                           Int8Block{int8->from(row), rows, w, column, column + columns, K, out,
                                     ldo, epilogue},
                           scratch);
      else
        COMPRESSC_ISA_CALL(gemmBlock,
                           GemmBlock{x + row * ldx, ldx, rows, w, column, column + columns, K, out,
                                     ldo, epilogue, product->bf16},
                           scratch);
    };
    float *out = product->out + row * product->ldo + column;
    multiply(product->w, product->int8, out, product->ldo, product->epilogue.from(row, column));
    if (!product->gate)
      return;
    GemmEpilogue gateBias{product->gateBias, nullptr, 0};
    multiply(product->gate, product->gateInt8, gate, columns, gateBias.from(0, column));
    for (int64_t r = 0; r < rows; ++r, gate += columns, out += product->ldo)
      COMPRESSC_ISA_CALL(gatedActivation, product->activation, gate, out, columns, out);
  });
}

void Gemm(KernelContext &context, int64_t M, int64_t N, int64_t K, const float *x, int64_t ldx,
          const WeightMatrix &w, float *out, int64_t ldo, const GemmEpilogue &epilogue) {
  GemmProduct product;
  product.w = &w;
  product.columns = N;
  product.out = out;
  product.ldo = ldo;
  product.epilogue = epilogue;
  Gemm(context, M, K, x, ldx, {&product, 1});
}

void SyrkAccumulate(KernelContext &context, int64_t T, int64_t K, const float *x, int64_t ldx,
                    float *gram) {
  if (T <= 0 || K <= 0)
    return;
  int64_t size = COMPRESSC_ISA_CALL(tileShape).syrkBlock;
  int64_t blocks = divideUp(K, size), tasks = blocks * (blocks + 1) / 2;
  int64_t floats = COMPRESSC_ISA_CALL(syrkScratchFloats, size);
  context.pool.parallelFor(tasks, [&](int64_t task, int worker) {
    // The blocks on and above the diagonal, row after row.
    int64_t i = 0, j = task;
    for (; j >= blocks - i; ++i)
      j -= blocks - i;
    j += i;
    SyrkBlock block{x, ldx, T, gram, K, 0, 0, 0, 0};
    block.rowBegin = i * size;
    block.rowEnd = std::min(K, block.rowBegin + size);
    block.columnBegin = j * size;
    block.columnEnd = std::min(K, block.columnBegin + size);
    float *scratch =
        static_cast<float *>(context.scratch.worker(worker, size_t(floats) * sizeof(float)));
    COMPRESSC_ISA_CALL(syrkBlock, block, scratch);
    if (i == j)
      return; // its two halves came out equal: products commute
    for (int64_t column = block.columnBegin; column < block.columnEnd; ++column)
      for (int64_t row = block.rowBegin; row < block.rowEnd; ++row)
        gram[column * K + row] = gram[row * K + column];
  });
}

void DequantizeRow(const WeightMatrix &w, int64_t row, float *out) {
  COMPRESSC_ISA_CALL(expandRow, w, row, 0, w.columns, out);
}

} // namespace compressc
