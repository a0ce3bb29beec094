// Calibration tokens from text files.
#pragma once

#include "compressc/Materialize/Materialize.h"
#include "compressc/runtime/tokenizer.h"

namespace compressc {

/// Reads JSON lines (an object with `text`; an MMLU row: the question with its answer letter; a MATH row:
/// problem and solution) or plain text, gzipped or not. Each row and two newlines is tokenised alone without
/// special tokens; the ids are concatenated and cut in order into `samples` of `length`. Fails when there
/// are too few, saying how many there are.
StatusOr<CalibrationSet> ReadCalibration(const std::string &path, const Tokenizer &tokenizer,
                                         int64_t samples, int64_t length);

/// sha256 of the ids, little-endian int32, in order.
std::string TokenDigest(const CalibrationSet &set);

} // namespace compressc
