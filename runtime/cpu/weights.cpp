// Weight expressions that copy, convert or scale.
#include "kernels.h"
#include <cmath>
#include <cstring>

namespace compressc {
namespace {

constexpr int64_t elementsPerTask = 1 << 16;

/// Splits [0, count) into parts that are the same for any number of threads.
template <typename Function>
void forRanges(KernelContext &context, int64_t count, int64_t perTask, const Function &function) {
  context.pool.parallelFor((count + perTask - 1) / perTask, [&](int64_t task, int worker) {
    function(task * perTask, std::min(count, (task + 1) * perTask), worker);
  });
}

int64_t rowsPerTask(int64_t columns) { return std::max<int64_t>(1, elementsPerTask / columns); }

float loadFloat(const Tensor &tensor, int64_t index) {
  if (tensor.dtype == DType::F32)
    return tensor.as<float>()[index];
  uint16_t bits = tensor.as<uint16_t>()[index];
  return tensor.dtype == DType::F16 ? HalfToFloat(bits) : BFloat16ToFloat(bits);
}

/// False when the value is NaN or infinite, or becomes so in the tensor's type.
bool storeFloat(const Tensor &tensor, int64_t index, float value) {
  if (tensor.dtype == DType::F32) {
    tensor.as<float>()[index] = value;
    return std::isfinite(value);
  }
  uint16_t bits = tensor.dtype == DType::F16 ? FloatToHalf(value) : FloatToBFloat16(value);
  tensor.as<uint16_t>()[index] = bits;
  uint16_t exponent = tensor.dtype == DType::F16 ? 0x7c00 : 0x7f80;
  return (bits & exponent) != exponent;
}

} // namespace

Status DequantizeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ConvertOperands operands, ReadDequantize(call));
  const WeightMatrix &weight = operands.from;
  const Tensor &out = operands.to;
  const int64_t columns = weight.columns;
  FirstIndex bad;
  forRanges(
      context, weight.rows, rowsPerTask(columns), [&](int64_t begin, int64_t end, int worker) {
        auto *row = static_cast<float *>(context.scratch.worker(worker, columns * sizeof(float)));
        for (int64_t n = begin; n < end; ++n) {
          DequantizeRow(weight, n, row);
          for (int64_t k = 0; k < columns; ++k)
            if (!storeFloat(out, n * columns + k, row[k]))
              return bad.note(n * columns + k);
        }
      });
  if (!bad.found())
    return absl::OkStatus();
  std::vector<float> row(columns);
  DequantizeRow(weight, bad.get() / columns, row.data());
  return ConvertFault(operands, bad.get(), row[bad.get() % columns]);
}

Status ConvertKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ConvertOperands operands, ReadConvert(call));
  const Tensor &in = call.inputs[0], &out = operands.to;
  FirstIndex bad;
  forRanges(context, in.elements(), elementsPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      if (!storeFloat(out, i, loadFloat(in, i)))
        return bad.note(i);
  });
  if (!bad.found())
    return absl::OkStatus();
  return ConvertFault(operands, bad.get(), loadFloat(in, bad.get()));
}

Status UnpermuteRowsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "unpermute_rows", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "unpermute_rows: the input"));
  if (in.rank() > 2)
    return Invalid("unpermute_rows: the input must be a matrix or a vector");
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(out, in.dtype, in.shape, "unpermute_rows: the output"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t heads, call.attributes.getInt("heads"));
  const int64_t rows = in.dim(0);
  if (heads < 1 || rows % heads != 0 || rows / heads % 2 != 0)
    return Invalid("unpermute_rows: heads = ", heads, " does not divide ", rows,
                   " rows into heads of an even size");
  if (in.data == out.data)
    return Invalid("unpermute_rows: the output must not lie on the input");
  const int64_t half = rows / heads / 2;
  const int64_t rowBytes = in.elements() / rows * int64_t(DTypeSize(in.dtype));
  forRanges(context, rows, std::max<int64_t>(1, elementsPerTask / rowBytes),
            [&](int64_t begin, int64_t end, int) {
              for (int64_t n = begin; n < end; ++n) {
                int64_t head = n / (2 * half), i = n % (2 * half);
                int64_t source = head * 2 * half + (i < half ? 2 * i : 2 * (i - half) + 1);
                std::memcpy(out.as<uint8_t>() + n * rowBytes, in.as<uint8_t>() + source * rowBytes,
                            rowBytes);
              }
            });
  return absl::OkStatus();
}

namespace {

/// Element must have the size of the tensor's type. Square tiles: each cache line that is read or
/// written is used whole while it is near.
template <typename Element>
void transposeRows(const Tensor &in, const Tensor &out, int64_t begin, int64_t end) {
  constexpr int64_t tile = 16;
  const int64_t rows = out.dim(0), columns = out.dim(1);
  for (int64_t first = begin; first < end; first += tile)
    for (int64_t k0 = 0; k0 < columns; k0 += tile)
      for (int64_t n = first; n < std::min(first + tile, end); ++n)
        for (int64_t k = k0; k < std::min(k0 + tile, columns); ++k)
          out.as<Element>()[n * columns + k] = in.as<Element>()[k * rows + n];
}

} // namespace

Status TransposeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckTranspose(call));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  forRanges(context, out.dim(0), std::max<int64_t>(1, elementsPerTask / out.dim(1)),
            [&](int64_t begin, int64_t end, int) {
              if (DTypeSize(in.dtype) == 2)
                transposeRows<uint16_t>(in, out, begin, end);
              else
                transposeRows<float>(in, out, begin, end);
            });
  return absl::OkStatus();
}

Status OffsetKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "offset", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "offset: the input"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(out, out.dtype, in.shape, "offset: the output"));
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(out, "offset: the output"));
  COMPRESSC_ASSIGN_OR_RETURN(double amount, call.attributes.getFloat("amount"));
  FirstIndex bad;
  forRanges(context, in.elements(), elementsPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      if (!storeFloat(out, i, loadFloat(in, i) + float(amount)))
        return bad.note(i);
  });
  if (!bad.found())
    return absl::OkStatus();
  return ConvertFault({"offset", {}, out}, bad.get(), loadFloat(in, bad.get()) + float(amount));
}

Status ScaleColumnsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ScaleColumnsOperands operands, ReadScaleColumns(call));
  const int64_t columns = operands.weight.columns;
  float *out = operands.out;
  forRanges(context, operands.weight.rows, rowsPerTask(columns), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      DequantizeRow(operands.weight, n, out + n * columns);
      for (int64_t k = 0; k < columns; ++k)
        out[n * columns + k] *= operands.scales[k];
    }
  });
  return absl::OkStatus();
}

Status ScaleRowsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ScaleRowsOperands operands, ReadScaleRows(context, call));
  const Tensor &in = call.inputs[0];
  const int64_t columns = operands.weight.columns;
  const float *scales = operands.scales;
  float *out = operands.out;
  forRanges(context, operands.weight.rows, rowsPerTask(columns), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t i = n * columns; i < (n + 1) * columns; ++i)
        out[i] = operands.inverse ? loadFloat(in, i) / scales[n] : loadFloat(in, i) * scales[n];
  });
  return absl::OkStatus();
}

Status ExpandHeadsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_ASSIGN_OR_RETURN(ExpandHeadsOperands operands, ReadExpandHeads(call));
  float *to = operands.out;
  for (int64_t head = 0; head < operands.width; head += operands.headDim)
    for (int64_t copy = 0; copy < operands.repeat; ++copy, to += operands.headDim)
      std::memmove(to, operands.x + head, operands.headDim * sizeof(float));
  return absl::OkStatus();
}

} // namespace compressc
