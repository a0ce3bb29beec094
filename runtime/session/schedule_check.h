// What makes a schedule safe to run, whoever made it: ParseSchedule and Session::Create both ask.
#pragma once

#include "compressc/runtime/schedule.h"
#include <nlohmann/json.hpp>

namespace compressc {

/// Limits that no honest schedule comes near; they keep every size far from overflow.
inline constexpr int64_t maxBatchRows = int64_t(1) << 24;
inline constexpr int64_t maxDimension = int64_t(1) << 31;
inline constexpr int64_t maxTensorBytes = int64_t(1) << 46;
inline constexpr size_t maxDeclarations = size_t(1) << 20;
inline constexpr size_t maxCalls = size_t(1) << 20;
inline constexpr size_t maxOperands = size_t(1) << 12;
inline constexpr size_t maxAttributes = size_t(1) << 8;
inline constexpr size_t maxAttributeValues = size_t(1) << 20;

/// Bytes of a tensor in one allocation, or why there is no such tensor.
StatusOr<int64_t> CheckedBytes(DType dtype, absl::Span<const int64_t> shape,
                               const PackedFormat &packed);

/// The shape of a buffer that has `rows` rows.
std::vector<int64_t> ShapeWithRows(const BufferDecl &buffer, int64_t rows);

/// Memory of the caller's, bound for a run: only ever read.
inline bool IsBound(const BufferDecl &buffer) { return buffer.offset < 0 && !buffer.state; }

Status CheckSchedule(const Schedule &schedule);

/// ParseSchedule for a part of a larger document.
StatusOr<Schedule> ScheduleFromJson(const nlohmann::json &value);

} // namespace compressc
