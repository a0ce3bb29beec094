#include "runtime/tasks/options.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include <algorithm>

namespace compressc {
namespace {

constexpr size_t helpWidth = 96;

bool isOption(absl::string_view argument) { return absl::StartsWith(argument, "--"); }

std::string withHyphens(absl::string_view name) { return absl::StrReplaceAll(name, {{"_", "-"}}); }

} // namespace

std::string WrapText(absl::string_view text, size_t indent) {
  std::string out, line;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > helpWidth) {
      absl::StrAppend(&out, std::string(indent, ' '), line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  return absl::StrCat(out, std::string(indent, ' '), line, "\n");
}

Option &Option::within(double low, double high) {
  check = [name = name, number = number, low, high] {
    double found = number();
    if (found >= low && found <= high)
      return absl::OkStatus();
    return Invalid("--", name, " must be from ", low, " to ", high, ", not ", found);
  };
  return *this;
}

Option &Option::oneOf(std::vector<std::string> values) {
  value = absl::StrJoin(values, "|");
  check = [name = name, text = text, values = std::move(values)]() -> Status {
    std::string found = text();
    if (std::find(values.begin(), values.end(), found) != values.end())
      return absl::OkStatus();
    absl::Span<const std::string> before = absl::MakeConstSpan(values).first(values.size() - 1);
    return Invalid("--", name, " must be ", absl::StrJoin(before, ", "), " or ", values.back(), ", not \"", found,
                   "\"");
  };
  return *this;
}

Option &Option::alone(std::string meant) {
  bare = std::move(meant);
  return *this;
}

const Option *Options::find(absl::string_view name) const {
  auto found = std::find_if(list.begin(), list.end(),
                            [&](const Option &option) { return option.name == withHyphens(name); });
  return found == list.end() ? nullptr : &*found;
}

Status Options::parse(absl::Span<const std::string> arguments) const {
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view argument = arguments[i];
    if (!isOption(argument) || argument.size() == 2)
      return Invalid("unexpected argument \"", argument, "\"; options are written --name value");
    size_t equals = argument.find('=');
    absl::string_view name =
        argument.substr(2, equals == absl::string_view::npos ? equals : equals - 2);
    const Option *option = find(name);
    if (!option)
      return Invalid("unknown option --", name);
    std::string value;
    if (equals != absl::string_view::npos)
      value = std::string(argument.substr(equals + 1));
    else if (option->value.empty())
      value = "true";
    else if (!option->bare.empty() && (i + 1 == arguments.size() || isOption(arguments[i + 1])))
      value = option->bare;
    else if (i + 1 < arguments.size())
      value = arguments[++i];
    else
      return Invalid("option --", name, " needs a value: ", option->value);
    if (!option->set(value))
      return Invalid("--", name, ": \"", value, "\" is not a valid value",
                     option->value.empty() ? "" : absl::StrCat(" (wanted ", option->value, ")"));
  }
  return absl::OkStatus();
}

Status Options::check() const {
  for (const Option &option : list)
    if (option.check)
      COMPRESSC_RETURN_IF_ERROR(option.check());
  return absl::OkStatus();
}

std::string Options::help() const {
  std::string help = list.empty() ? "" : "\noptions:\n";
  for (const Option &option : list) {
    std::string text = option.help, initial = option.text();
    if (!option.value.empty() && !initial.empty())
      absl::StrAppend(&text, " (default ", initial, ")");
    absl::StrAppend(&help, "  --", option.name, option.value.empty() ? "" : " ", option.value, "\n",
                    WrapText(text, 6));
  }
  return help;
}

} // namespace compressc
