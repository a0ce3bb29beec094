// The functions that exist once for each instruction set, and the plain structs they take.
#pragma once

#include "../int8.h"
#include "../instruction_set.h"

namespace compressc {

/// The part of a matrix product that one task computes, all of K. The pointers are to its own first
/// elements, but for the weight, whose rows it takes are counted from the weight's first.
struct GemmBlock {
  const float *x;
  int64_t ldx;
  int64_t rows;
  const WeightMatrix *w;
  int64_t columnBegin, columnEnd; // rows of the weight, columns of the result
  int64_t depth;                  // K
  float *out;
  int64_t ldo;
  GemmEpilogue epilogue;
  bool bf16; // x is rounded to bf16, and the weight is to be
};

/// The same for activations in int8.
struct Int8Block {
  Int8Rows x;
  int64_t rows;
  const WeightMatrix *w;
  int64_t columnBegin, columnEnd;
  int64_t depth;
  float *out;
  int64_t ldo;
  GemmEpilogue epilogue;
};

/// gram[i, j] += sum over t of x[t, i] * x[t, j] for a rectangle of the Gram matrix.
struct SyrkBlock {
  const float *x;
  int64_t ldx;
  int64_t tokens;
  float *gram;
  int64_t width; // K
  int64_t rowBegin, rowEnd, columnBegin, columnEnd;
};

/// The sizes that work is best split by.
struct TileShape {
  int64_t rows;       // of the register tile
  int64_t columns;    // of the register tile: the width of a weight panel
  int64_t syrkBlock;  // a multiple of both
};

/// How much of a product one task takes at most, and what it costs beside the product itself, in the time of
/// one row with one panel of the weight.
struct TaskLimits {
  int64_t rows, panels;
  double expandPanel; // for each panel
  double copyRow;     // for each row
};

/// Query rows of one sequence and one key/value head that one task computes. Row r of the tile is
/// query row r / headsPerGroup and head r % headsPerGroup.
struct AttentionTile {
  const float *queries; // first query row, first head of the group
  float *out;           // likewise
  int64_t rowStride;    // of both
  int64_t queryRows;
  int64_t headsPerGroup;
  int64_t dim;
  float scale;
  const float *keys; // slot 0 of this key/value head
  const float *values;
  int64_t slotStride;
  const SlotRange *ranges; // all keys of the sequence in order: its context, then its own rows
  int64_t firstPosition;   // of the first query row
  int64_t window;          // 0 = unlimited
};

COMPRESSC_PER_ISA(
    /// out[count] = w[row, column ...]; `column` is a multiple of 64.
    void expandRow(const WeightMatrix &w, int64_t row, int64_t column, int64_t count, float *out);
    /// panel[k, r] = w[row + r, column + k] for k in [0, count) and one panel width of rows; those
    /// past `rowEnd` repeat the last one. `column` is a multiple of 64, count a block of K at most;
    /// when it is odd, the panel has room for one k more.
    void expandPanel(const WeightMatrix &w, int64_t row, int64_t rowEnd, int64_t column,
                     int64_t count, float *scratch, float *panel);
    TileShape tileShape();
    int64_t syrkScratchFloats(int64_t rows);
    void syrkBlock(const SyrkBlock &block, float *scratch);

    int64_t attentionScratchFloats(int64_t tileRows, int64_t dim);
    void attentionTile(const AttentionTile &tile, float *scratch);

    void rmsNorm(const float *x, const float *weight, int64_t width, float epsilon, float *out);
    void roundRowToBFloat16(const float *x, int64_t count, float *out);
    void layerNorm(const float *x, const float *weight, const float *bias, int64_t width,
                   float epsilon, float *out);
    void gatedActivation(Activation kind, const float *gate, const float *up, int64_t count,
                         float *out);
    void addArrays(const float *a, const float *b, int64_t count, float *out);
    void mulArrays(const float *a, const float *b, int64_t count, float *out);
    /// Cosines and sines of position * frequencies[i], times `factor`.
    void rotaryAngles(float position, const float *frequencies, int64_t count, float factor,
                      float *cosines, float *sines);
    /// Rotates the pairs (i, i + half) of one head.
    void rotateHead(const float *x, const float *cosines, const float *sines, int64_t half,
                    float *out);)

COMPRESSC_PER_ISA_AND(avx512bf16, TaskLimits taskLimits(int64_t M, int64_t K, bool bf16);
                      int64_t gemmScratchFloats(int64_t rows, int64_t columns, int64_t depth, bool bf16);
                      void gemmBlock(const GemmBlock &block, float *scratch);)

COMPRESSC_PER_ISA_AND(
    avx512vnni,
    /// Row `row` of `to` from x[columns].
    void quantizeRow(const float *x, int64_t columns, int64_t row, const Int8Rows &to);
    int64_t int8ScratchFloats(int64_t rows, int64_t depth, int64_t group);
    void int8Block(const Int8Block &block, float *scratch);)

} // namespace compressc
