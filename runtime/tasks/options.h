// Options of a command: one definition of each parses it, checks it and explains it.
#pragma once

#include "absl/flags/marshalling.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "compressc/runtime/status.h"
#include <deque>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace compressc {

/// The type of an option that may be given several times, each time with any text.
struct TextList {
  std::vector<std::string> items;
};

/// Written --name VALUE or --name=VALUE, or --name alone when it is a switch.
struct Option {
  std::string name;  // with hyphens
  std::string value; // what --help calls its value; "": a switch
  std::string help;
  std::string bare = {};                               // the value meant by the name alone; "": one must follow
  std::function<bool(absl::string_view)> set = {};     // false: no such value
  std::function<std::string()> text = {};              // of what is set
  std::function<double()> number = {};                 // the same, of numbers
  std::function<Status()> check = {};                  // once all options are set

  Option &within(double low, double high);
  Option &oneOf(std::vector<std::string> values);
  Option &alone(std::string meant);
};

class Options {
public:
  /// `to` is what the option sets, and must live as long as this; what it holds now is the default.
  template <typename T> Option &add(std::string name, std::string value, T &to, std::string help) {
    Option &option = list.emplace_back(Option{std::move(name), std::move(value), std::move(help)});
    if constexpr (std::is_same_v<T, TextList>) {
      option.set = [&to](absl::string_view text) {
        to.items.emplace_back(text);
        return true;
      };
      option.text = [&to] { return absl::StrJoin(to.items, ","); };
    } else {
      option.set = [&to](absl::string_view text) {
        std::string error;
        return absl::ParseFlag(text, &to, &error);
      };
      option.text = [&to] { return absl::UnparseFlag(to); };
    }
    if constexpr (std::is_arithmetic_v<T>)
      option.number = [&to] { return double(to); };
    return option;
  }

  const std::deque<Option> &all() const { return list; }
  /// With hyphens or underscores; null: there is none.
  const Option *find(absl::string_view name) const;

  /// Sets what is given. Anything else is an error.
  Status parse(absl::Span<const std::string> arguments) const;
  /// Whether values are in their ranges.
  Status check() const;
  std::string help() const;

private:
  std::deque<Option> list; // references stay
};

/// `text` broken at spaces, each line behind `indent` spaces.
std::string WrapText(absl::string_view text, size_t indent);

} // namespace compressc
