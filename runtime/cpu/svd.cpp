// A weight as a product of two thin ones: the singular value decomposition that its input's Gram matrix weighs.
// The decomposition itself is LAPACK's. Deployed programs never call this kernel and are linked without it.
#include "gemm.h"
#include "kernels.h"
#include "quantizer_loops.h"
#include <cmath>
#include <cstdlib>
#include <cstring>

// Reference LAPACK, linked statically: one thread and one order of sums on every machine. Matrices are column-major.
extern "C" {
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info, size_t, size_t);
void dtrmm_(const char *side, const char *uplo, const char *trans, const char *diag, const int *m, const int *n,
            const double *alpha, const double *a, const int *lda, double *b, const int *ldb, size_t, size_t, size_t,
            size_t);
void dtrsm_(const char *side, const char *uplo, const char *trans, const char *diag, const int *m, const int *n,
            const double *alpha, const double *a, const int *lda, double *b, const int *ldb, size_t, size_t, size_t,
            size_t);

// What these routines need of Fortran's library, which is not linked: Debian has its parts only all together.
// The first is called for arguments out of range, which are never given.
void xerbla_(const char *, const int *, size_t) { std::abort(); }
void _gfortran_concat_string(size_t size, char *to, size_t aSize, const char *a, size_t bSize, const char *b) {
  for (size_t i = 0; i < size; ++i)
    to[i] = i < aSize ? a[i] : i - aSize < bSize ? b[i - aSize] : ' ';
}
}

namespace compressc {
namespace {

constexpr int64_t rowsAtATime = 1024;

/// WᵀW [K, K] in fp64, of the rows of a weight in the order in which they come.
Status gramOfRows(KernelContext &context, const WeightMatrix &weight, float *rows, float *columns, double *gram) {
  const int64_t K = weight.columns;
  constexpr int64_t tile = 16;
  const int64_t tiles = (K + tile - 1) / tile;
  std::fill_n(gram, K * K, 0.0);
  FirstIndex bad;
  for (int64_t begin = 0; begin < weight.rows; begin += rowsAtATime) {
    const int64_t count = std::min(rowsAtATime, weight.rows - begin);
    context.pool.parallelFor(count, [&](int64_t i, int) {
      DequantizeRow(weight, begin + i, rows + i * K);
      if (int64_t column = FirstNonFinite(rows + i * K, K); column >= 0)
        bad.note((begin + i) * K + column);
    });
    if (bad.found())
      return NonFiniteError(bad.get(), K, "svd: the weight");
    context.pool.parallelFor(tiles, [&](int64_t task, int) {
      for (int64_t i = 0; i < count; ++i)
        for (int64_t k = task * tile; k < std::min(K, (task + 1) * tile); ++k)
          columns[k * rowsAtATime + i] = rows[i * K + k];
    });
    // Tiles at and below the diagonal.
    context.pool.parallelFor(tiles * tiles, [&](int64_t task, int) {
      const int64_t a = task / tiles * tile, b = task % tiles * tile;
      for (int64_t i = a; b <= a && i < std::min(K, a + tile); ++i)
        for (int64_t j = b; j <= std::min(i, b + tile - 1); ++j)
          gram[i * K + j] +=
              COMPRESSC_ISA_CALL(dotInDouble, columns + i * rowsAtATime, columns + j * rowsAtATime, count);
    });
  }
  for (int64_t i = 0; i < K; ++i)
    for (int64_t j = 0; j < i; ++j)
      gram[j * K + i] = gram[i * K + j];
  return absl::OkStatus();
}

/// The lower factor of G + damping · mean(diag G) · I, column-major. Damping grows tenfold until there is one: fewer
/// tokens than columns, or columns that depend on each other, leave G singular.
StatusOr<double> cholesky(const StatisticsView &statistics, double damping, double *factor) {
  const int64_t K = statistics.width;
  double mean = 0;
  for (int64_t k = 0; k < K; ++k)
    mean += double(statistics.gram[k * K + k]) / double(K);
  if (!(mean > 0))
    return Invalid("svd: the weight's input was 0 for every calibration token; calibrate with other data or factorise "
                   "without weighing");
  for (; damping <= 1; damping = std::max(damping, 1e-7) * 10) {
    for (int64_t i = 0; i < K; ++i)
      for (int64_t j = 0; j < K; ++j)
        factor[j * K + i] = i < j ? 0 : double(statistics.gram[i * K + j]) + (i == j ? damping * mean : 0);
    int n = int(K), info = 0;
    dpotrf_("L", &n, factor, &n, &info, 1);
    if (info == 0)
      return damping;
  }
  return Invalid("svd: the Gram matrix of the weight's input is not positive, whatever is added to its diagonal");
}

/// Eigenvalues, ascending, and vectors in the place of a symmetric matrix; each vector's largest element is positive.
Status eigenvectors(int64_t K, double *matrix, double *values) {
  int n = int(K), info = 0, ask = -1, integers = 0;
  double reals = 0;
  dsyevd_("V", "L", &n, matrix, &n, values, &reals, &ask, &integers, &ask, &info, 1, 1);
  int realCount = int(reals);
  std::vector<double> work(realCount);
  std::vector<int> integerWork(integers);
  dsyevd_("V", "L", &n, matrix, &n, values, work.data(), &realCount, integerWork.data(), &integers, &info, 1, 1);
  if (info != 0)
    return Invalid("svd: the singular values did not converge");
  for (int64_t c = 0; c < K; ++c) {
    double *vector = matrix + c * K;
    int64_t largest = 0;
    for (int64_t k = 1; k < K; ++k)
      if (std::fabs(vector[k]) > std::fabs(vector[largest]))
        largest = k;
    if (vector[largest] < 0)
      for (int64_t k = 0; k < K; ++k)
        vector[k] = -vector[k];
  }
  return absl::OkStatus();
}

double norm(const double *vector, int64_t size) {
  double sum = 0;
  for (int64_t k = 0; k < size; ++k)
    sum += vector[k] * vector[k];
  return std::sqrt(sum);
}

} // namespace

Status SvdKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "svd", 1, 2, 3));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix weight, PlainMatrix(call.inputs[0], "svd: the weight"));
  const int64_t N = weight.rows, K = weight.columns;
  const int64_t R = call.outputs[0].rank() == 2 ? call.outputs[0].dim(1) : 0;
  // LAPACK counts in 32 bits, its workspace too.
  constexpr int64_t mostColumns = 1 << 15;
  if (R < 1 || R > std::min(N, K) || K >= mostColumns)
    return Invalid("svd: rank ", R, " of a weight [", N, ", ", K, "]; 1 to ", std::min(N, K), " columns of fewer than ",
                   mostColumns, " are supported");
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[0], DType::F32, {N, R}, "svd: the left factor"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[1], DType::F32, {R, K}, "svd: the right factor"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[2], DType::F32, {4}, "svd: the choice"));
  COMPRESSC_ASSIGN_OR_RETURN(double damping, call.attributes.getFloat("damping"));
  if (!(damping >= 0 && damping <= 1))
    return Invalid("svd: damping is ", damping, "; it must be from 0 to 1");

  const size_t square = size_t(K * K), block = size_t(rowsAtATime * K);
  auto *matrix = static_cast<double *>(
      context.scratch.shared((2 * square + size_t(K)) * sizeof(double) + 2 * block * sizeof(float)));
  double *whitener = matrix + square, *values = whitener + square;
  auto *rows = reinterpret_cast<float *>(values + K);
  COMPRESSC_RETURN_IF_ERROR(gramOfRows(context, weight, rows, rows + block, matrix));

  // M = Lᵀ(WᵀW)L has the squares of W·L's singular values and its right singular vectors. Squaring leaves those
  // below 1e-8 of the largest uncertain, which is below what the factors' own type can tell; in return only K columns
  // are decomposed, however many rows there are.
  const int n = int(K), kept = int(R);
  const double one = 1;
  const bool whitens = call.inputs.size() == 2;
  if (whitens) {
    COMPRESSC_ASSIGN_OR_RETURN(StatisticsView statistics, CheckStatistics(call.inputs[1], K, "svd: the statistics"));
    COMPRESSC_RETURN_IF_ERROR(CheckStatisticsValues(context, statistics, "svd: the statistics"));
    COMPRESSC_ASSIGN_OR_RETURN(damping, cholesky(statistics, damping, whitener));
    dtrmm_("R", "L", "N", "N", &n, &n, &one, whitener, &n, matrix, &n, 1, 1, 1, 1);
    dtrmm_("L", "L", "T", "N", &n, &n, &one, whitener, &n, matrix, &n, 1, 1, 1, 1);
  } else {
    damping = 0;
  }
  COMPRESSC_RETURN_IF_ERROR(eigenvectors(K, matrix, values));
  double dropped = 0, whole = 0;
  for (int64_t c = 0; c < K; ++c) { // the smallest first
    whole += std::max(values[c], 0.0);
    if (c < K - R)
      dropped += std::max(values[c], 0.0);
  }

  // The vectors to keep, the largest value's first: V.
  std::vector<double> right(size_t(R * K)), left;
  for (int64_t r = 0; r < R; ++r)
    std::copy_n(matrix + (K - 1 - r) * K, K, right.begin() + r * K);
  left = right;
  if (whitens) {
    dtrmm_("L", "L", "N", "N", &n, &kept, &one, whitener, &n, left.data(), &n, 1, 1, 1, 1);  // L·V
    dtrsm_("L", "L", "T", "N", &n, &kept, &one, whitener, &n, right.data(), &n, 1, 1, 1, 1); // L⁻ᵀ·V
  }
  // W ≈ (W·L·V)(VᵀL⁻¹). Column r of the left factor has the length σ_r; both factors get the same length, so that
  // neither leaves the range of 16 bits, however many tokens were summed.
  float *product = call.outputs[1].as<float>();
  std::vector<float> projection(size_t(R * K));
  for (int64_t r = 0; r < R; ++r) {
    const double sigma = std::sqrt(std::max(values[K - 1 - r], 0.0)), length = norm(&right[r * K], K);
    const double scale = sigma > 0 ? std::sqrt(sigma / length) : 0;
    for (int64_t k = 0; k < K; ++k) {
      product[r * K + k] = float(right[r * K + k] * scale);
      projection[r * K + k] = scale > 0 ? float(left[r * K + k] / scale) : 0;
    }
  }
  const WeightMatrix projected = WeightMatrix::FromFloats(projection.data(), R, K, K);
  for (int64_t begin = 0; begin < N; begin += rowsAtATime) {
    const int64_t count = std::min(rowsAtATime, N - begin);
    context.pool.parallelFor(count, [&](int64_t i, int) { DequantizeRow(weight, begin + i, rows + i * K); });
    Gemm(context, count, R, K, rows, K, projected, call.outputs[0].as<float>() + begin * R, R);
  }
  float *choice = call.outputs[2].as<float>();
  choice[0] = float(R);
  choice[1] = whole > 0 ? float(dropped / whole) : 0;
  choice[2] = 1 - choice[1];
  choice[3] = float(damping);
  return absl::OkStatus();
}

} // namespace compressc
