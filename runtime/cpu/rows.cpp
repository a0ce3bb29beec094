#include "rows.h"
#include <algorithm>

namespace compressc {

void RoundRows(KernelContext &context, const float *x, int64_t rows, int64_t width, void *out) {
  ForRows(context, rows, width, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * width; i < end * width; ++i)
      static_cast<uint16_t *>(out)[i] = FloatToBFloat16(x[i]);
  });
}

void ForRows(KernelContext &context, int64_t rows, int64_t width,
             const std::function<void(int64_t begin, int64_t end, int worker)> &run) {
  // About 64 KiB a task: more than what handing one out costs, and small enough to balance.
  int64_t step = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width));
  int64_t tasks = (rows + step - 1) / step;
  if (tasks <= 1) {
    if (rows > 0)
      run(0, rows, 0);
    return;
  }
  context.pool.parallelFor(tasks, [&](int64_t task, int worker) {
    run(task * step, std::min(rows, (task + 1) * step), worker);
  });
}

} // namespace compressc
