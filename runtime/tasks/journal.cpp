#include "runtime/tasks/journal.h"
#include "compressc/runtime/safetensors.h"
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace compressc {
namespace {

Status failed(const std::string &path, const char *action) {
  return IOError(path, ": cannot ", action, " the kept answers (", std::strerror(errno), "); --journal FILE keeps them elsewhere");
}

} // namespace

StatusOr<std::unique_ptr<AnswerJournal>> AnswerJournal::Open(const std::string &path, const std::string &task,
                                                             const std::string &key, const std::vector<size_t> &sizes,
                                                             bool fresh) {
  std::unique_ptr<AnswerJournal> journal(new AnswerJournal);
  journal->name = path;
  journal->descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (journal->descriptor < 0)
    return failed(path, "open");
  if (::flock(journal->descriptor, LOCK_EX | LOCK_NB) != 0)
    return Invalid(path, ": another run keeps its answers there; wait for it, or name another file with --journal");
  COMPRESSC_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  std::string beginning = absl::StrCat("{\"", task, "_journal\":"), first = absl::StrCat(beginning, "\"", key, "\"}\n");
  if (text.compare(0, beginning.size(), beginning, 0, text.size()) != 0)
    return Invalid(path, ": is no file of kept answers; name another with --journal");
  size_t end = 0;
  if (text.compare(0, first.size(), first) == 0)
    end = fresh ? first.size() : first.size() + journal->read(std::string_view(text).substr(first.size()), sizes);
  else if (text.find('\n') != std::string::npos && !fresh)
    std::fprintf(stderr, "note: the answers kept in %s are of another model, device, data or options; starting over\n",
                 path.c_str());
  if (::ftruncate(journal->descriptor, off_t(end)) != 0)
    return failed(path, "cut");
  if (end == 0)
    COMPRESSC_RETURN_IF_ERROR(journal->append(first));
  return journal;
}

AnswerJournal::~AnswerJournal() {
  if (descriptor >= 0)
    ::close(descriptor);
}

/// How many bytes are whole, good lines.
size_t AnswerJournal::read(std::string_view text, const std::vector<size_t> &sizes) {
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
    nlohmann::json line = nlohmann::json::parse(text.substr(begin, end - begin), nullptr, false);
    bool good = line.is_array() && line.size() > 2 && line[0].is_number_unsigned() &&
                line[0].get<uint64_t>() < sizes.size() && line.size() == 2 + sizes[line[0].get<size_t>()];
    for (size_t i = 1; good && i < line.size(); ++i)
      good = line[i].is_number();
    if (!good)
      break;
    std::vector<double> &values = answers[line[0].get<size_t>()];
    values.clear();
    for (size_t i = 2; i < line.size(); ++i)
      values.push_back(line[i].get<double>());
    seconds = std::max(seconds, line[1].get<double>());
  }
  return begin;
}

Status AnswerJournal::append(const std::string &line) {
  for (size_t done = 0; done < line.size();) {
    ssize_t written = ::write(descriptor, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return failed(name, "write");
    done += size_t(written);
  }
  return absl::OkStatus();
}

Status AnswerJournal::add(size_t item, absl::Span<const double> logProbabilities, double now) {
  nlohmann::json line = {item, seconds + now};
  for (double value : logProbabilities)
    line.push_back(value);
  COMPRESSC_RETURN_IF_ERROR(append(line.dump() + "\n"));
  ++added;
  return absl::OkStatus();
}

Status AnswerJournal::remove() {
  if (::unlink(name.c_str()) != 0)
    return failed(name, "remove");
  return absl::OkStatus();
}

} // namespace compressc
