// What a run of mmlu leaves behind: a JSON file, a CSV file and a table.
#pragma once

#include "compressc/runtime/model.h"
#include "runtime/tasks/gpu_use.h"
#include "runtime/tasks/mmlu_data.h"
#include "runtime/tasks/statistics.h"
#include <array>
#include <string>
#include <vector>

namespace compressc {

struct ScoredQuestion {
  int64_t row = 0;
  std::string subject;
  int gold = 0;
  int prediction = 0;
  std::array<double, 4> logprobs{};
};

struct MmluRun {
  ModelInfo model;
  std::string split;
  int shots = 0;
  uint64_t seed = 0;
  double fraction = 1;
  std::string normalised = "vocabulary"; // what log-probabilities are normalised over
  std::vector<int32_t> specialTokens; // what encoding puts before each prompt
  std::array<int32_t, 4> answerTokens{};
  std::string device = "cpu";   // or the first GPU's name
  std::vector<GpuUse> gpus;     // that the model ran on
  int64_t promptTokens = 0, computedTokens = 0, truncatedPrompts = 0;
  double seconds = 0;         // scoring
  double tokenizeSeconds = 0; // before it
  std::vector<ScoredQuestion> questions;
};

/// Tallies by subject, by group and of everything.
struct MmluTallies {
  GroupTally overall;
  std::map<std::string, GroupTally> groups;
};
MmluTallies TallyQuestions(const std::vector<ScoredQuestion> &questions,
                           const SubjectGroups &groups);

std::string MmluJson(const MmluRun &run, const SubjectGroups &groups);
/// subject,group,questions,correct,accuracy,stderr: a line for each subject, then each group
/// (subject "all"), then everything (group "all" too). Rates are fractions; an undefined standard
/// error is empty.
std::string MmluCsv(const MmluRun &run, const SubjectGroups &groups);
std::string MmluTable(const MmluRun &run, const SubjectGroups &groups);

} // namespace compressc
