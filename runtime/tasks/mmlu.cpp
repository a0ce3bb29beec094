// MMLU as lm-evaluation-harness's `mmlu` asks it.
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/mmlu_data.h"
#include "runtime/tasks/mmlu_prompt.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/questions.h"
#include "runtime/tasks/tasks.h"
#include <cstdio>

namespace compressc {
namespace {

class MmluTask : public QuestionTask {
public:
  TaskText text() const override {
    return {.name = "mmlu",
            .summary = "Score four-choice questions (MMLU)",
            .details = "Asks multiple-choice questions as lm-evaluation-harness's mmlu does and compares the "
                       "log-probabilities of \" A\" to \" D\" at the last token of the prompt. Equal beginnings of "
                       "prompts are computed once.",
            .examples = "mmlu --data ../shared/data --json mmlu.json\n"
                        "mmlu --shots 0 --subjects anatomy,astronomy --csv mmlu.csv\n"
                        "mmlu --fraction 0.2 --seed 1 --threads 8\n"
                        "mmlu --dump-prompts - | sha256sum",
            .keepsAnswers = true,
            .hasTable = true};
  }

  void define(Options &options) override {
    options.add("data", "DIR", data,
                "Folder with mmlu_SPLIT.jsonl[.gz], or in the layout of hendrycks/test with "
                "SPLIT/SUBJECT_SPLIT.csv. Default: ../shared/data, then questions/ beside this program.");
    options.add("shots", "N", shots, "Worked examples of the same subject before each question, 0 to 5.").within(0, 5);
    options.add("split", "", split, "Which questions to ask.").oneOf({"dev", "val", "test"});
    options.add("subjects", "A,B", selection.subjects, "Only these subjects. Default: all.");
    options.add("per-subject", "N", selection.perSubject, "The first N questions of each subject; 0: all.")
        .within(0, 1e9);
    QuestionTask::define(options);
    options
        .add("normalise", "", normalise,
             "What log-probabilities are normalised over: the whole vocabulary, as lm-evaluation-harness does, or "
             "the four answers, whose logits are then all that is computed.")
        .oneOf({"vocabulary", "answers"});
    options.add("dump-prompts", "FILE", promptsFile,
                "Only write the prompts, each followed by a zero byte; - is standard output. No model is needed.");
  }

  Status load() override {
    COMPRESSC_RETURN_IF_ERROR(QuestionTask::load());
    std::vector<Question> dev;
    if (shots > 0) {
      COMPRESSC_ASSIGN_OR_RETURN(dev, LoadQuestions(data, "dev"));
    }
    PromptBuilder builder(dev, int(shots));
    std::set<std::string> unlisted;
    for (const ScoredQuestion &scored : questions) {
      const QuestionRow &question = scored.question;
      COMPRESSC_ASSIGN_OR_RETURN(std::string prompt, builder.prompt(stored[size_t(question.row)]));
      prompts.push_back(std::move(prompt));
      if (!groups.lists(question.subject))
        unlisted.insert(question.subject);
    }
    if (!unlisted.empty())
      std::fprintf(stderr,
                   "note: %zu subject(s) of no known group are counted as \"other\" (first: %s); "
                   "mmlu_subjects.csv in the data folder can name groups\n",
                   unlisted.size(), unlisted.begin()->c_str());
    if (split == "dev" && shots > 0)
      std::fprintf(stderr, "note: the worked examples come from dev too, so the questions see their "
                           "own answers; pass --shots 0\n");
    return absl::OkStatus();
  }

  StatusOr<bool> doneWithoutModel() override {
    if (promptsFile.empty())
      return false;
    std::string text;
    for (const std::string &prompt : prompts)
      (text += prompt) += '\0';
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(promptsFile, text));
    return true;
  }

  StatusOr<Work> ask(const Tokenizer &tokenizer, const ModelInfo &model, ThreadPool &pool) override {
    COMPRESSC_ASSIGN_OR_RETURN(Work work, EncodePrompts(tokenizer, model, prompts, pool));
    work.alone = normalise == "answers";
    return work;
  }

protected:
  StatusOr<std::vector<QuestionRow>> read() override {
    COMPRESSC_RETURN_IF_ERROR(findData());
    COMPRESSC_ASSIGN_OR_RETURN(groups, SubjectGroups::Load(data));
    COMPRESSC_ASSIGN_OR_RETURN(stored, LoadQuestions(data, split));
    std::vector<QuestionRow> rows;
    for (const Question &question : stored)
      rows.push_back({question.row, question.subject, groups.groupOf(question.subject), question.answer});
    return rows;
  }

  void describe(QuestionRun &run) const override {
    run.title = absl::StrCat("MMLU, ", split, " split, ", shots, "-shot");
    run.data = {{"split", split}, {"shots", shots}, {"normalised_over", normalise}};
    run.hasSubjects = true;
  }

private:
  /// --data, or the first usual place that has the split.
  Status findData() {
    if (!data.empty())
      return absl::OkStatus();
    COMPRESSC_ASSIGN_OR_RETURN(std::string folder, ExecutableDirectory());
    for (const std::string &place : {std::string("../shared/data"), folder + "/questions"})
      if (HasQuestions(place, split)) {
        data = place;
        return absl::OkStatus();
      }
    return Invalid("found no questions in ../shared/data or beside this program in questions/; pass "
                   "--data DIR, a folder with mmlu_",
                   split, ".jsonl[.gz] or ", split, "/SUBJECT_", split, ".csv");
  }

  std::string data, split = "test", normalise = "vocabulary", promptsFile;
  int64_t shots = 5;
  SubjectGroups groups;
  std::vector<Question> stored; // by row
  std::vector<std::string> prompts;
};

} // namespace

std::unique_ptr<Task> MakeMmlu() { return std::make_unique<MmluTask>(); }

} // namespace compressc
