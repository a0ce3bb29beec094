// Continuations of a context, of which one is right: the log-likelihood decides, as in lm-evaluation-harness's
// multiple-choice tasks.
#include "compressc/runtime/digest.h"
#include "compressc/runtime/safetensors.h"
#include "runtime/tasks/questions.h"
#include "runtime/tasks/tasks.h"
#include "runtime/tasks/text.h"
#include <algorithm>
#include <iterator>
#include <numeric>

namespace compressc {
namespace {

constexpr size_t lineLimit = size_t(1) << 20, mostContinuations = 1000;

struct Question {
  std::string where; // FILE:LINE
  std::string context;
  std::vector<std::string> continuations;
};

/// A name that is printed and written to tables.
bool isPlain(const std::string &name) {
  return name.size() <= 200 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
}

Status parseLine(std::string_view line, Question &question, QuestionRow &row) {
  const std::string &where = question.where;
  if (line.size() > lineLimit)
    return Invalid(where, ": the line is longer than ", lineLimit, " bytes");
  nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (json.is_discarded())
    return Invalid(where, ": not valid JSON in UTF-8");
  if (!json.is_object())
    return Invalid(where, ": must be an object with context, continuations and gold");
  auto context = json.find("context"), continuations = json.find("continuations"), gold = json.find("gold"),
       group = json.find("group");
  if (context == json.end() || !context->is_string())
    return Invalid(where, ": \"context\" must be a string");
  question.context = context->get<std::string>();
  bool good = continuations != json.end() && continuations->is_array() && continuations->size() >= 2 &&
              continuations->size() <= mostContinuations;
  for (size_t i = 0; good && i < continuations->size(); ++i) {
    good = (*continuations)[i].is_string() && !(*continuations)[i].get_ref<const std::string &>().empty();
    if (good)
      question.continuations.push_back((*continuations)[i].get<std::string>());
  }
  if (!good)
    return Invalid(where, ": \"continuations\" must be an array of 2 to ", mostContinuations,
                   " strings that are not empty");
  size_t last = question.continuations.size() - 1;
  if (gold == json.end() || !gold->is_number_unsigned() || gold->get<uint64_t>() > last)
    return Invalid(where, ": \"gold\" must be an integer from 0 to ", last);
  row.gold = gold->get<int>();
  if (group != json.end()) {
    if (!group->is_string() || !isPlain(group->get_ref<const std::string &>()))
      return Invalid(where, ": \"group\" must be a string of at most 200 bytes without control characters");
    row.subject = row.group = group->get<std::string>();
  }
  return absl::OkStatus();
}

/// Spaces at the end of a context belong to its continuations: so tokens begin with them.
size_t lengthWithoutSpaces(std::string_view text) {
  std::string_view stripped = StripWhitespace(text);
  return stripped.empty() ? 0 : size_t(stripped.data() + stripped.size() - text.data());
}

/// A request for each continuation of a question.
struct Encoded {
  std::vector<Request> requests;
  std::vector<std::vector<int32_t>> targets;
  int64_t truncated = 0;
};

StatusOr<Encoded> encode(const Question &question, const Tokenizer &tokenizer, const ModelInfo &model) {
  size_t length = lengthWithoutSpaces(question.context);
  std::string context = question.context.substr(0, length), spaces = question.context.substr(length);
  std::vector<int32_t> before = tokenizer.encode(context, model.addSpecialTokens);
  if (before.empty())
    return Invalid(question.where, ": \"context\" gives no token to go on from");
  Encoded result;
  for (const std::string &continuation : question.continuations) {
    std::vector<int32_t> whole = tokenizer.encode(context + spaces + continuation, model.addSpecialTokens);
    if (whole.size() <= before.size())
      return Invalid(question.where, ": the tokens of \"", continuation,
                     "\" merge with the context's, so that none is left to score");
    std::vector<int32_t> added(whole.begin() + int64_t(before.size()), whole.end());
    if (int64_t(added.size()) > model.contextLength)
      return Invalid(question.where, ": a continuation has ", added.size(), " tokens, more than the context of ",
                     model.contextLength);
    for (int32_t id : added)
      if (id >= model.vocabularySize)
        return Invalid(question.where, ": has token ", id, ", but the model has ", model.vocabularySize, " logits");
    // The last token is predicted only.
    std::vector<int32_t> tokens = before;
    tokens.insert(tokens.end(), added.begin(), added.end() - 1);
    if (int64_t(tokens.size()) > model.contextLength) {
      tokens.erase(tokens.begin(), tokens.end() - model.contextLength);
      ++result.truncated;
    }
    std::vector<int32_t> wanted(added.size());
    std::iota(wanted.begin(), wanted.end(), int32_t(tokens.size() - added.size()));
    result.requests.push_back({std::move(tokens), std::move(wanted)});
    result.targets.push_back(std::move(added));
  }
  return result;
}

class ChoiceTask : public QuestionTask {
public:
  TaskText text() const override {
    return {.name = "choice",
            .summary = "Choose continuations by log-likelihood",
            .details = "Asks questions of any number of choices: lines of JSON with \"context\", \"continuations\" "
                       "(strings), \"gold\" (which is right, from 0) and maybe \"group\". A continuation's score is "
                       "the sum of its tokens' log-probabilities behind the context; accuracy is that of the highest "
                       "score, accuracy_norm that of the highest score per byte of the continuation. As in "
                       "lm-evaluation-harness, a continuation's tokens are those of context and continuation together "
                       "without as many as the context alone has, and spaces at the end of the context belong to the "
                       "continuation.",
            .examples = "choice --data questions.jsonl --json choice.json\n"
                        "choice --data questions.jsonl.gz --limit 100 --csv choice.csv",
            .keepsAnswers = true,
            .hasTable = true};
  }

  void define(Options &options) override {
    options.add("data", "FILE", data, "The questions, plain or packed with gzip.");
    QuestionTask::define(options);
  }

  StatusOr<Work> ask(const Tokenizer &tokenizer, const ModelInfo &model, ThreadPool &pool) override {
    std::vector<StatusOr<Encoded>> encoded(questions.size());
    pool.parallelFor(int64_t(questions.size()), [&](int64_t i, int) {
      encoded[size_t(i)] = encode(stored[size_t(questions[size_t(i)].question.row)], tokenizer, model);
    });
    Work work;
    for (size_t i = 0; i < encoded.size(); ++i) {
      COMPRESSC_ASSIGN_OR_RETURN(Encoded found, std::move(encoded[i]));
      work.truncated += found.truncated;
      work.items.insert(work.items.end(), found.requests.size(), i);
      std::move(found.requests.begin(), found.requests.end(), std::back_inserter(work.requests));
      std::vector<size_t> &lengths = tokens.emplace_back();
      for (std::vector<int32_t> &targets : found.targets) {
        lengths.push_back(targets.size());
        work.targets.push_back(std::move(targets));
      }
    }
    return work;
  }

protected:
  StatusOr<std::vector<QuestionRow>> read() override {
    if (data.empty())
      return Invalid("pass --data FILE, lines of JSON with context, continuations and gold");
    COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadTextFile(data, size_t(1) << 30));
    digest = TextDigest(text);
    std::vector<QuestionRow> rows;
    std::string_view rest = text;
    for (int64_t number = 1; !rest.empty(); ++number) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      if (line.find_first_not_of(" \t\r") == std::string_view::npos)
        continue;
      stored.push_back({absl::StrCat(data, ":", number), "", {}});
      rows.push_back({int64_t(rows.size()), "", "", 0});
      COMPRESSC_RETURN_IF_ERROR(parseLine(line, stored.back(), rows.back()));
    }
    if (rows.empty())
      return Invalid(data, ": holds no questions");
    return rows;
  }

  void answer(size_t item, absl::Span<const double> logProbabilities, ScoredQuestion &scored) const override {
    const Question &question = stored[size_t(scored.question.row)];
    std::vector<double> perByte;
    for (size_t i = 0; i < question.continuations.size(); ++i) {
      absl::Span<const double> own = logProbabilities.first(tokens[item][i]);
      logProbabilities.remove_prefix(own.size());
      scored.logprobs.push_back(std::accumulate(own.begin(), own.end(), 0.0));
      perByte.push_back(scored.logprobs.back() / double(question.continuations[i].size()));
    }
    scored.predictions = {Greatest(scored.logprobs), Greatest(perByte)};
  }

  void describe(QuestionRun &run) const override {
    run.title = "choice, " + data;
    run.data = {{"data", data}, {"data_digest", digest}};
    run.measures = {"", "_norm"};
  }

private:
  std::string data, digest;
  std::vector<Question> stored;             // by row
  std::vector<std::vector<size_t>> tokens; // of each question's continuations
};

} // namespace

std::unique_ptr<Task> MakeChoice() { return std::make_unique<ChoiceTask>(); }

} // namespace compressc
