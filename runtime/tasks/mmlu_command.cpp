#include "absl/flags/flag.h"

#include "compressc/runtime/digest.h"
#include "compressc/runtime/kernel.h"
#include "compressc/runtime/progress.h"
#include "runtime/tasks/commands.h"
#include "runtime/tasks/deployment.h"
#include "runtime/tasks/interrupt.h"
#include "runtime/tasks/mmlu_journal.h"
#include "runtime/tasks/mmlu_prompt.h"
#include "runtime/tasks/mmlu_report.h"
#include "runtime/tasks/mmlu_score.h"
#include "runtime/tasks/output.h"
#include "runtime/tasks/question_sample.h"
#include <chrono>
#include <cmath>
#include <cstdio>

ABSL_FLAG(int64_t, shots, 5, "worked examples");
ABSL_FLAG(std::string, split, "test", "questions to ask");
ABSL_FLAG(std::vector<std::string>, subjects, {}, "subjects");
ABSL_FLAG(std::string, rows, "", "row numbers");
ABSL_FLAG(int64_t, per_subject, 0, "questions of each subject");
ABSL_FLAG(int64_t, limit, 0, "questions in all");
ABSL_FLAG(double, fraction, 1.0, "random part");
ABSL_FLAG(std::string, csv, "", "table file");
ABSL_FLAG(std::string, normalise, "vocabulary", "what log-probabilities are normalised over");
ABSL_FLAG(std::string, journal, "", "file of kept answers");
ABSL_FLAG(bool, fresh, false, "start over");
ABSL_FLAG(std::string, dump_prompts, "", "prompts file");

namespace compressc {
namespace {

/// --data, or the first usual place that has the split.
StatusOr<std::string> findData(const std::string &split) {
  if (std::string data = absl::GetFlag(FLAGS_data); !data.empty())
    return data;
  std::string shared = "../shared/data";
  if (HasQuestions(shared, split))
    return shared;
  COMPRESSC_ASSIGN_OR_RETURN(std::string folder, ExecutableDirectory());
  if (std::string own = folder + "/questions"; HasQuestions(own, split))
    return own;
  return Invalid("found no questions in ../shared/data or beside this program in questions/; pass "
                 "--data DIR, a folder with mmlu_",
                 split, ".jsonl[.gz] or ", split, "/SUBJECT_", split, ".csv");
}

StatusOr<Selection> readSelection() {
  Selection selection;
  selection.subjects = absl::GetFlag(FLAGS_subjects);
  if (std::string rows = absl::GetFlag(FLAGS_rows); !rows.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(selection.rows, ParseRows(rows));
  }
  selection.fraction = absl::GetFlag(FLAGS_fraction);
  selection.seed = absl::GetFlag(FLAGS_seed);
  selection.perSubject = absl::GetFlag(FLAGS_per_subject);
  selection.limit = absl::GetFlag(FLAGS_limit);
  COMPRESSC_RETURN_IF_ERROR(CheckRange("per-subject", double(selection.perSubject), 0, 1e9));
  COMPRESSC_RETURN_IF_ERROR(CheckRange("limit", double(selection.limit), 0, 1e9));
  return selection;
}

struct Work {
  std::vector<Question> questions;
  std::vector<std::string> prompts;
  SubjectGroups groups;
};

StatusOr<Work> prepare(const std::string &split, int shots) {
  COMPRESSC_ASSIGN_OR_RETURN(Selection selection, readSelection());
  COMPRESSC_ASSIGN_OR_RETURN(std::string data, findData(split));
  Work work;
  COMPRESSC_ASSIGN_OR_RETURN(work.groups, SubjectGroups::Load(data));
  COMPRESSC_ASSIGN_OR_RETURN(work.questions, LoadQuestions(data, split));
  COMPRESSC_ASSIGN_OR_RETURN(work.questions, SelectQuestions(std::move(work.questions), selection));
  std::vector<Question> dev;
  if (shots > 0) {
    COMPRESSC_ASSIGN_OR_RETURN(dev, LoadQuestions(data, "dev"));
  }
  PromptBuilder builder(dev, shots);
  std::set<std::string> unlisted;
  for (const Question &question : work.questions) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string prompt, builder.prompt(question));
    work.prompts.push_back(std::move(prompt));
    if (!work.groups.lists(question.subject))
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
  return work;
}

Status dumpPrompts(const Work &work, const std::string &path) {
  std::string text;
  for (const std::string &prompt : work.prompts) {
    text += prompt;
    text += '\0';
  }
  return WriteOutput(path, text);
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Where answers are kept while questions are asked; "": nowhere.
std::string journalPath() {
  if (std::string path = absl::GetFlag(FLAGS_journal); !path.empty())
    return path;
  for (const std::string &output : {absl::GetFlag(FLAGS_json), absl::GetFlag(FLAGS_csv)})
    if (WritesFile(output))
      return output + ".journal";
  return "";
}

/// All that answers depend on, to the bit.
StatusOr<std::string> journalKey(const Model &model, const std::string &over, const EncodedPrompts &prompts) {
  COMPRESSC_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> program, MappedFile::Open("/proc/self/exe"));
  std::string text = absl::StrCat(program->identity(), " ", model.weightsIdentity(), " ",
                                  model.device() ? model.device()->name() : std::string(InstructionSet()), " ", over);
  for (int32_t token : prompts.answerTokens)
    absl::StrAppend(&text, " ", token);
  for (const Request &request : prompts.requests) {
    absl::StrAppend(&text, "\n");
    for (int32_t token : request.tokens)
      absl::StrAppend(&text, " ", token);
  }
  return TextDigest(text);
}

/// Says what is kept, and how to go on.
Status stopped(const Status &status, const AnswerJournal *journal, size_t questions) {
  std::string message(absl::IsCancelled(status) ? "interrupted" : status.message());
  if (!journal)
    return Status(status.code(), absl::StrCat(message, "; nothing was written, and no answers are kept without --json, --csv or --journal"));
  return Status(status.code(), absl::StrCat(message, "; ", journal->size(), " of ", questions, " questions are kept in ",
                                            journal->path(), ": the same command asks the rest, --fresh all"));
}

Status runMmlu() {
  std::string split = absl::GetFlag(FLAGS_split);
  if (split != "test" && split != "val" && split != "dev")
    return Invalid("--split must be dev, val or test, not \"", split, "\"");
  std::string over = absl::GetFlag(FLAGS_normalise);
  if (over != "vocabulary" && over != "answers")
    return Invalid("--normalise must be vocabulary or answers, not \"", over, "\"");
  int64_t shots = absl::GetFlag(FLAGS_shots);
  COMPRESSC_RETURN_IF_ERROR(CheckRange("shots", double(shots), 0, 5));
  COMPRESSC_ASSIGN_OR_RETURN(Work work, prepare(split, int(shots)));
  if (std::string path = absl::GetFlag(FLAGS_dump_prompts); !path.empty())
    return dumpPrompts(work, path);

  COMPRESSC_ASSIGN_OR_RETURN(std::unique_ptr<Deployment> deployment, OpenDeployment());
  Model &model = *deployment->model;
  MmluRun run;
  run.model = model.info();
  run.split = split;
  run.shots = int(shots);
  run.seed = absl::GetFlag(FLAGS_seed);
  run.fraction = absl::GetFlag(FLAGS_fraction);
  if (run.model.addSpecialTokens)
    run.specialTokens = model.tokenizer().encode("", true);

  auto start = std::chrono::steady_clock::now();
  COMPRESSC_ASSIGN_OR_RETURN(EncodedPrompts encoded, EncodePrompts(model.tokenizer(), run.model,
                                                                   work.prompts, deployment->pool));
  run.tokenizeSeconds = secondsSince(start);
  run.answerTokens = encoded.answerTokens;
  run.promptTokens = encoded.promptTokens;
  run.truncatedPrompts = encoded.truncated;

  std::unique_ptr<AnswerJournal> journal;
  if (std::string path = journalPath(); !path.empty()) {
    COMPRESSC_ASSIGN_OR_RETURN(std::string key, journalKey(model, over, encoded));
    COMPRESSC_ASSIGN_OR_RETURN(journal, AnswerJournal::Open(path, key, work.questions.size(), absl::GetFlag(FLAGS_fresh)));
    if (!journal->kept().empty())
      std::fprintf(stderr, "note: %zu of %zu questions were answered before and are taken from %s; --fresh asks them again\n",
                   journal->kept().size(), work.questions.size(), path.c_str());
  }
  std::map<size_t, Answer> known = journal ? journal->kept() : std::map<size_t, Answer>();

  start = std::chrono::steady_clock::now();
  Progress progress("mmlu", int64_t(work.questions.size()), "questions",
                    absl::GetFlag(FLAGS_quiet));
  int64_t done = 0, right = 0;
  auto count = [&](size_t prompt, const Answer &answer) {
    ++done;
    right += answer.prediction == work.questions[prompt].answer;
    progress.advance(1, absl::StrCat("accuracy ", right * 1000 / done / 10, ".",
                                     right * 1000 / done % 10, " %"));
  };
  for (const auto &[prompt, answer] : known)
    count(prompt, answer);
  auto onAnswer = [&](size_t prompt, const Answer &answer) -> Status {
    count(prompt, answer);
    return journal ? journal->add(prompt, answer, secondsSince(start)) : absl::OkStatus();
  };
  run.normalised = over;
  GpuUseWatch watch(model);
  StatusOr<ScoredPrompts> scored =
      ScorePrompts(ScorerOf(model), over == "answers" ? Normalise::Answers : Normalise::Vocabulary, encoded, onAnswer, known);
  if (!scored.ok())
    return stopped(scored.status(), journal.get(), work.questions.size());
  progress.finish();
  run.seconds = secondsSince(start) + (journal ? journal->keptSeconds() : 0);
  if (const Device *device = model.device())
    run.device = device->name();
  run.gpus = watch.end();
  run.computedTokens = scored->computedTokens;
  for (size_t i = 0; i < work.questions.size(); ++i) {
    const Question &question = work.questions[i];
    run.questions.push_back({question.row, question.subject, question.answer,
                             scored->answers[i].prediction, scored->answers[i].logprobs});
  }

  if (std::string path = absl::GetFlag(FLAGS_json); !path.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(path, MmluJson(run, work.groups)));
  if (std::string path = absl::GetFlag(FLAGS_csv); !path.empty())
    COMPRESSC_RETURN_IF_ERROR(WriteOutput(path, MmluCsv(run, work.groups)));
  if (journal)
    COMPRESSC_RETURN_IF_ERROR(journal->remove());
  std::string table = MmluTable(run, work.groups);
  bool outputTaken = absl::GetFlag(FLAGS_json) == "-" || absl::GetFlag(FLAGS_csv) == "-";
  std::fputs(table.c_str(), outputTaken ? stderr : stdout);
  return absl::OkStatus();
}

} // namespace

Command MmluCommand() {
  return {
      "mmlu",
      "Score four-choice questions (MMLU)",
      "Asks multiple-choice questions as lm-evaluation-harness's mmlu does and compares the "
      "log-probabilities of \" A\" to \" D\" at the last token of the prompt. Equal beginnings of "
      "prompts are computed once.",
      {{"data", "DIR",
        "Folder with mmlu_SPLIT.jsonl[.gz], or in the layout of hendrycks/test with "
        "SPLIT/SUBJECT_SPLIT.csv. Default: ../shared/data, then questions/ beside this program."},
       {"shots", "N", "Worked examples of the same subject before each question, 0 to 5."},
       {"split", "dev|val|test", "Which questions to ask."},
       {"subjects", "A,B", "Only these subjects. Default: all."},
       {"rows", "N,N-N", "Only these rows of the split's file, counted from 0. Default: all."},
       {"fraction", "F",
        "A random part of what is left, over 0 and at most 1, drawn without repetition by "
        "SplitMix64 and a Fisher-Yates shuffle: the same on every machine."},
       {"seed", "S", "Seed of --fraction."},
       {"per-subject", "N", "The first N questions of each subject; 0: all."},
       {"limit", "N", "The first N questions; 0: all."},
       {"normalise", "vocabulary|answers",
        "What log-probabilities are normalised over: the whole vocabulary, as lm-evaluation-harness "
        "does, or the four answers, whose logits are then all that is computed."},
       {"json", "FILE",
        "Write everything, each question too, to a JSON file; - is standard output."},
       {"csv", "FILE", "Write accuracies by subject, group and overall; - is standard output."},
       {"journal", "FILE",
        "Where answers are kept until all are there, so that the same command goes on after an interruption. "
        "Default: the file of --json, else of --csv, with .journal behind its name; without either, nowhere."},
       {"fresh", "", "Ask all questions again, whatever an interrupted run has kept."},
       {"dump-prompts", "FILE",
        "Only write the prompts, each followed by a zero byte; - is standard output. No model is "
        "needed."},
       ModelFlag(),
       ThreadsFlag(),
       DeviceFlag(), DevicesFlag(), GpuMemoryFlag(), HalfFlag(), InterpretFlag(),
       QuietFlag()},
      "mmlu --data ../shared/data --json mmlu.json\n"
      "mmlu --shots 0 --subjects anatomy,astronomy --csv mmlu.csv\n"
      "mmlu --fraction 0.2 --seed 1 --threads 8\n"
      "mmlu --dump-prompts - | sha256sum",
      runMmlu};
}

} // namespace compressc
