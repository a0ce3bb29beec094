// The groups of MMLU's subjects. Built in: those of lm-evaluation-harness, where anatomy is stem.
#include "compressc/runtime/safetensors.h"
#include "runtime/tasks/csv.h"
#include "runtime/tasks/mmlu_data.h"
#include <algorithm>
#include <filesystem>

namespace compressc {
namespace {

struct Entry {
  const char *subject, *group;
};

constexpr const char *stem = "stem", *humanities = "humanities", *social = "social_sciences",
                     *other = "other";

constexpr Entry builtInGroups[] = {
    {"abstract_algebra", stem},
    {"anatomy", stem},
    {"astronomy", stem},
    {"business_ethics", other},
    {"clinical_knowledge", other},
    {"college_biology", stem},
    {"college_chemistry", stem},
    {"college_computer_science", stem},
    {"college_mathematics", stem},
    {"college_medicine", other},
    {"college_physics", stem},
    {"computer_security", stem},
    {"conceptual_physics", stem},
    {"econometrics", social},
    {"electrical_engineering", stem},
    {"elementary_mathematics", stem},
    {"formal_logic", humanities},
    {"global_facts", other},
    {"high_school_biology", stem},
    {"high_school_chemistry", stem},
    {"high_school_computer_science", stem},
    {"high_school_european_history", humanities},
    {"high_school_geography", social},
    {"high_school_government_and_politics", social},
    {"high_school_macroeconomics", social},
    {"high_school_mathematics", stem},
    {"high_school_microeconomics", social},
    {"high_school_physics", stem},
    {"high_school_psychology", social},
    {"high_school_statistics", stem},
    {"high_school_us_history", humanities},
    {"high_school_world_history", humanities},
    {"human_aging", other},
    {"human_sexuality", social},
    {"international_law", humanities},
    {"jurisprudence", humanities},
    {"logical_fallacies", humanities},
    {"machine_learning", stem},
    {"management", other},
    {"marketing", other},
    {"medical_genetics", other},
    {"miscellaneous", other},
    {"moral_disputes", humanities},
    {"moral_scenarios", humanities},
    {"nutrition", other},
    {"philosophy", humanities},
    {"prehistory", humanities},
    {"professional_accounting", other},
    {"professional_law", humanities},
    {"professional_medicine", other},
    {"professional_psychology", social},
    {"public_relations", social},
    {"security_studies", social},
    {"sociology", social},
    {"us_foreign_policy", social},
    {"virology", other},
    {"world_religions", humanities},
};

} // namespace

SubjectGroups SubjectGroups::BuiltIn() {
  SubjectGroups result;
  for (const Entry &entry : builtInGroups)
    result.groups[entry.subject] = entry.group;
  return result;
}

StatusOr<SubjectGroups> SubjectGroups::Parse(std::string_view csv, const std::string &file) {
  COMPRESSC_ASSIGN_OR_RETURN(std::vector<CsvRow> rows, ParseCsv(csv, file));
  if (rows.empty())
    return Invalid(file, ": is empty, wanted a header with subject and group_lm_eval");
  const std::vector<std::string> &header = rows[0].fields;
  auto column = [&](std::string_view name) {
    return size_t(std::find(header.begin(), header.end(), name) - header.begin());
  };
  size_t subject = column("subject"), group = column("group_lm_eval");
  if (subject == header.size() || group == header.size())
    return Invalid(file, ":1: the header must name the columns subject and group_lm_eval");
  SubjectGroups result;
  for (size_t i = 1; i < rows.size(); ++i) {
    std::vector<std::string> &fields = rows[i].fields;
    if (fields.size() != header.size())
      return Invalid(file, ":", rows[i].line, ": has ", fields.size(), " fields, the header has ",
                     header.size());
    auto plain = [](unsigned char c) { return c >= 0x20 && c != 0x7F; };
    if (fields[group].empty() || !std::all_of(fields[group].begin(), fields[group].end(), plain))
      return Invalid(file, ":", rows[i].line, ": group_lm_eval must be a plain name");
    result.groups[fields[subject]] = fields[group];
  }
  return result;
}

StatusOr<SubjectGroups> SubjectGroups::Load(const std::string &directory) {
  std::string path = directory + "/mmlu_subjects.csv";
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    return BuiltIn();
  COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadTextFile(path, size_t(1) << 24));
  return Parse(text, path);
}

std::string SubjectGroups::groupOf(const std::string &subject) const {
  auto found = groups.find(subject);
  return found == groups.end() ? other : found->second;
}

bool SubjectGroups::lists(const std::string &subject) const {
  return groups.find(subject) != groups.end();
}

} // namespace compressc
