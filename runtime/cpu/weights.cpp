// Weight expressions that copy, convert or scale.
#include "absl/strings/str_join.h"
#include "floats.h"
#include "kernels.h"
#include "weight_operands.h"
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

/// A plain tensor of any rank as a matrix.
WeightMatrix plainRows(const Tensor &tensor, int64_t rows) {
  WeightMatrix matrix;
  matrix.dtype = tensor.dtype;
  matrix.rows = rows;
  matrix.columns = tensor.elements() / rows;
  matrix.rowBytes = matrix.columns * int64_t(DTypeSize(tensor.dtype));
  matrix.data = tensor.data;
  return matrix;
}

Status storeError(absl::string_view kernel, int64_t index, float value, DType dtype) {
  if (!std::isfinite(value))
    return Invalid(kernel, ": element ", index, " is NaN or infinite");
  return Invalid(kernel, ": element ", index, " is ", value, ", too large for ", TypeName(dtype),
                 "; choose bf16 or f32");
}

Status convertOnDevice(KernelContext &context, absl::string_view kernel, const WeightMatrix &from, const Tensor &out) {
  COMPRESSC_ASSIGN_OR_RETURN(Device::ConvertFault fault, context.device->convert(from, out));
  return fault.index < 0 ? absl::OkStatus() : storeError(kernel, fault.index, fault.value, out.dtype);
}

} // namespace

Status DequantizeKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "dequantize", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  if (in.dtype != DType::Packed && DTypeBlock(in.dtype).elements == 1)
    return Invalid("dequantize: the weight is ", TypeName(in.dtype),
                   "; it must be packed or in GGUF blocks");
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix weight,
                             WeightMatrix::Create(in, "dequantize: the weight"));
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(out, "dequantize: the output"));
  if (out.shape != in.shape)
    return Invalid("dequantize: the output is [", absl::StrJoin(out.shape, ", "), "], the weight [",
                   absl::StrJoin(in.shape, ", "), "]");
  const int64_t columns = weight.columns;
  if (context.device)
    return convertOnDevice(context, "dequantize", weight, out);
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
  return storeError("dequantize", bad.get(), row[bad.get() % columns], out.dtype);
}

Status ConvertKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "convert", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "convert: the input"));
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(out, "convert: the output"));
  if (out.shape != in.shape)
    return Invalid("convert: the output is [", absl::StrJoin(out.shape, ", "), "], the input [",
                   absl::StrJoin(in.shape, ", "), "]");
  if (context.device)
    return convertOnDevice(context, "convert", plainRows(in, in.dim(0)), out);
  FirstIndex bad;
  forRanges(context, in.elements(), elementsPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      if (!storeFloat(out, i, loadFloat(in, i)))
        return bad.note(i);
  });
  if (!bad.found())
    return absl::OkStatus();
  return storeError("convert", bad.get(), loadFloat(in, bad.get()), out.dtype);
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
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "transpose", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "transpose: the input"));
  if (in.rank() != 2)
    return Invalid("transpose: the input must be a matrix");
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(out, in.dtype, {in.dim(1), in.dim(0)}, "transpose: the output"));
  if (in.data == out.data)
    return Invalid("transpose: the output must not lie on the input");
  if (context.device)
    return context.device->transpose(in, out);
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
  return storeError("offset", bad.get(), loadFloat(in, bad.get()) + float(amount), out.dtype);
}

Status ScaleColumnsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "scale_columns", 2, 2, 1));
  COMPRESSC_ASSIGN_OR_RETURN(WeightMatrix weight,
                             PlainMatrix(call.inputs[0], "scale_columns: the weight"));
  const int64_t columns = weight.columns;
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.inputs[1], DType::F32, {columns}, "scale_columns: the scales"));
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(call.outputs[0], DType::F32, {weight.rows, columns},
                                        "scale_columns: the output"));
  const float *scales = call.inputs[1].as<float>();
  float *out = call.outputs[0].as<float>();
  if (context.device)
    return context.device->scaleColumns(weight, scales, out);
  forRanges(context, weight.rows, rowsPerTask(columns), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      DequantizeRow(weight, n, out + n * columns);
      for (int64_t k = 0; k < columns; ++k)
        out[n * columns + k] *= scales[k];
    }
  });
  return absl::OkStatus();
}

Status ScaleRowsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "scale_rows", 2, 2, 1));
  const Tensor &in = call.inputs[0];
  COMPRESSC_RETURN_IF_ERROR(CheckPlain(in, "scale_rows: the weight"));
  if (in.rank() > 2)
    return Invalid("scale_rows: the weight must be a matrix or a vector");
  const int64_t rows = in.dim(0), columns = in.elements() / rows;
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.inputs[1], DType::F32, {rows}, "scale_rows: the scales"));
  COMPRESSC_RETURN_IF_ERROR(
      CheckTensor(call.outputs[0], DType::F32, in.shape, "scale_rows: the output"));
  const bool inverse = call.attributes.getIntOr("inverse", 0) != 0;
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<float> scales, ReadFloats(context, call.inputs[1].as<float>(), rows));
  for (int64_t n = 0; inverse && n < rows; ++n)
    if (scales[n] == 0)
      return Invalid("scale_rows: scale ", n, " is 0 and rows are divided by the scales");
  float *out = call.outputs[0].as<float>();
  if (context.device)
    return context.device->scaleRows(plainRows(in, rows), call.inputs[1].as<float>(), inverse, out);
  forRanges(context, rows, rowsPerTask(columns), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t i = n * columns; i < (n + 1) * columns; ++i)
        out[i] = inverse ? loadFloat(in, i) / scales[n] : loadFloat(in, i) * scales[n];
  });
  return absl::OkStatus();
}

Status ExpandHeadsKernel(KernelContext &context, const KernelCall &call) {
  COMPRESSC_RETURN_IF_ERROR(CheckCounts(call, "expand_heads", 1, 1, 1));
  const Tensor &in = call.inputs[0], &out = call.outputs[0];
  COMPRESSC_ASSIGN_OR_RETURN(int64_t headDim, call.attributes.getInt("head_dim"));
  COMPRESSC_ASSIGN_OR_RETURN(int64_t repeat, call.attributes.getInt("repeat"));
  const int64_t width = in.rank() == 1 ? in.dim(0) : 0;
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(in, DType::F32, {width}, "expand_heads: the input"));
  int64_t expanded = 0;
  if (headDim < 1 || repeat < 1 || width % headDim != 0 ||
      __builtin_mul_overflow(width, repeat, &expanded))
    return Invalid("expand_heads: head_dim = ", headDim, " and repeat = ", repeat,
                   " do not fit a vector of ", width);
  COMPRESSC_RETURN_IF_ERROR(CheckTensor(out, DType::F32, {expanded}, "expand_heads: the output"));
  if (in.data == out.data && repeat > 1)
    return Invalid("expand_heads: the output must not lie on the input");
  if (context.device)
    return context.device->expandHeads(in.as<float>(), width, headDim, repeat, out.as<float>());
  float *to = out.as<float>();
  for (int64_t head = 0; head < width; head += headDim)
    for (int64_t copy = 0; copy < repeat; ++copy, to += headDim)
      std::memmove(to, in.as<float>() + head, headDim * sizeof(float));
  return absl::OkStatus();
}

} // namespace compressc
