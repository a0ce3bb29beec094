#include "ProgramPrinter.h"
#include "compressc/Conversion/ToSchedule.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"

using namespace mlir;

namespace compressc {

std::string SourceNumber(double value) {
  for (int digits = 1; digits <= 17; ++digits) {
    std::string text;
    llvm::raw_string_ostream(text) << llvm::format("%.*g", digits, value);
    if (std::strtod(text.c_str(), nullptr) == value)
      return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
  }
  return "0.0";
}

int64_t CallConstants::integer(StringRef name, int64_t fallback) const {
  auto value = attributes.getAs<IntegerAttr>(name);
  return value ? value.getInt() : fallback;
}

double CallConstants::real(StringRef name, double fallback) const {
  auto value = attributes.getAs<FloatAttr>(name);
  return value ? value.getValueAsDouble() : fallback;
}

StringRef CallConstants::text(StringRef name) const {
  auto value = attributes.getAs<StringAttr>(name);
  return value ? value.getValue() : StringRef();
}

/// Operands: x, the norm, the weights, their biases, what is added.
LinearParts::LinearParts(exec::CallOp call) {
  CallConstants constants{call.getConstants()};
  ArrayRef<Attribute> inputs = call.getInputs().getValue();
  StringRef epilogue = constants.text("epilogue");
  auto count = size_t(constants.integer("weights", 1));
  x = inputs.front();
  inputs = inputs.drop_front();
  if (constants.text("prologue") == "rms_norm") {
    norm = inputs.front();
    epsilon = constants.real("epsilon", 0);
    inputs = inputs.drop_front();
  }
  weights.append(inputs.begin(), inputs.begin() + count);
  inputs = inputs.drop_front(count);
  if (epilogue == "add") {
    added = inputs.back();
    inputs = inputs.drop_back();
  }
  // With one weight a further input is its bias.
  int64_t biased = constants.integer("biases", count == 1 && !inputs.empty());
  for (size_t i = 0; biased && i < count; ++i) {
    biases.push_back(biased >> i & 1 ? inputs.front() : Attribute());
    inputs = inputs.drop_front(biased >> i & 1);
  }
  if (epilogue.consume_back("_mul"))
    gate = epilogue;
  compute = constants.text("compute");
  answers = constants.integer("answers");
}

Status ProgramPrinter::run(StringRef title) {
  collect();
  out << "// " << title << "\n//\n// " << program.getMaxTokens() << " rows and " << program.getMaxSelected()
      << " selected rows at most, in an arena of " << program.getArena()
      << " bytes. Emitted by compressc;\n// the weights are bound when a session starts, in the order of the schedule.";
  printHeader();
  printDefinitions();
  printWeights();
  printValues();
  printFrequencies();
  for (auto function : program.getBody().getOps<exec::FunctionOp>())
    COMPRESSC_RETURN_IF_ERROR(printFunction(function));
  std::vector<std::string> entries;
  for (auto entry : program.getBody().getOps<exec::EntryOp>()) {
    if (!entry.getInputs().empty())
      continue; // its caller lends memory, which only the interpreter binds
    COMPRESSC_RETURN_IF_ERROR(printEntry(entry));
    entries.push_back(entry.getSymName().str());
  }
  out << "constexpr Entry entries[] = {\n";
  for (const std::string &name : entries)
    out << "    {\"" << name << "\", " << identifier(name) << "},\n";
  out << "};\n\n} // namespace\n\nextern \"C\" const Program " << definition() << " = {\""
      << ScheduleDigest(ToSchedule(program)) << "\", entries, " << entries.size() << "};\n";
  return absl::OkStatus();
}

/// Numbers weights and caches as the schedule does, and finds what entry points name themselves.
void ProgramPrinter::collect() {
  for (auto weight : program.getBody().getOps<exec::WeightOp>()) {
    places[weight.getSymNameAttr()] = weights++;
    types[weight.getSymNameAttr()] = weight.getType();
  }
  for (auto cache : program.getBody().getOps<exec::CacheOp>())
    places[cache.getSymNameAttr()] = caches++;
  program.walk([&](exec::CallOp call) {
    bool outlined = isa<exec::FunctionOp>(call->getParentOp());
    for (auto name : call.getInputs().getAsRange<FlatSymbolRefAttr>())
      if (!outlined && isa_and_nonnull<exec::WeightOp>(SymbolTable::lookupSymbolIn(program, name.getAttr())))
        named.insert(name.getAttr());
    if (ArrayAttr list = CallConstants{call.getConstants()}.list("frequencies"))
      frequencies.try_emplace(list, "frequencies" + (frequencies.empty() ? "" : std::to_string(frequencies.size())));
  });
}

std::string ProgramPrinter::weightComment(Type type) const {
  std::string text;
  llvm::raw_string_ostream(text) << " // " << type;
  return text;
}

std::string ProgramPrinter::identifier(StringRef name) {
  name.consume_back(".weight");
  std::string result;
  for (char c : name)
    result += llvm::isAlnum(c) ? c : '_';
  if (result.empty() || llvm::isDigit(result[0]))
    result = "_" + result;
  return result;
}

std::string ProgramPrinter::unique(std::string name) {
  std::string result = name;
  for (int i = 2; !taken.insert(result).second; ++i)
    result = name + "_" + std::to_string(i);
  return result;
}

void ProgramPrinter::printWeights() {
  if (named.empty())
    return;
  out << "// Weights outside the layers.\n";
  for (StringAttr name : named) {
    identifiers[name] = unique(identifier(name.getValue()));
    out << "constexpr " << weightType(types[name]) << " " << identifiers[name] << " = " << weightPlace(places[name]) << ";"
        << weightComment(types[name]) << "\n";
  }
  out << "\n";
}

void ProgramPrinter::printValues() {
  out << "// Values: a row for each token, or for each selected token; columns, first byte.\n";
  for (auto buffer : program.getBody().getOps<exec::BufferOp>()) {
    if (!isa<RankedTensorType>(buffer.getType()) || !buffer.getOffset() || buffer.getRows() == exec::RowCount::fixed)
      continue;
    std::string &name = identifiers[buffer.getSymNameAttr()];
    name = unique(identifier(buffer.getSymName()));
    printValue(buffer, name);
  }
  out << "\n";
}

void ProgramPrinter::printFrequencies() {
  for (auto &[list, name] : frequencies) {
    out << "constexpr float " << name << "[] = {";
    for (auto [index, value] : llvm::enumerate(cast<ArrayAttr>(list).getAsRange<FloatAttr>()))
      out << (index % 8 ? " " : "\n    ") << SourceNumber(value.getValueAsDouble()) << "f,";
    out << "\n};\n\n";
  }
}

Status ProgramPrinter::printCall(exec::CallOp call) {
  StringRef kernel = call.getKernel();
  ArrayRef<Attribute> inputs = call.getInputs().getValue(), outputs = call.getOutputs().getValue();
  for (Attribute output : outputs)
    if (exec::BufferOp buffer = bufferOf(output); !buffer || buffer.getRows() == exec::RowCount::fixed)
      return Invalid("the kernel ", kernel.str(), " makes a value without rows, which has no form in ", language().str());
  out << "  ";
  auto scale = call.getConstants().getAs<FloatAttr>("scale");
  if (kernel == "embedding")
    out << "embedding(run, " << operand(inputs[1]) << ", " << operand(outputs[0])
        << (scale ? ", " + SourceNumber(scale.getValueAsDouble()) + "f" : "") << ");\n";
  else if (kernel == "select_rows")
    out << "selectRows(run, " << operand(inputs[0]) << ", " << operand(outputs[0]) << ");\n";
  else if (kernel == "add" || kernel == "mul")
    out << kernel << "(run, " << operands(inputs) << ", " << operand(outputs[0]) << ");\n";
  else
    return printKernel(call);
  return absl::OkStatus();
}

static std::string typeName(std::string function) {
  function[0] = char(llvm::toUpper(function[0]));
  return function;
}

Status ProgramPrinter::printFunction(exec::FunctionOp function) {
  std::string name = identifier(function.getSymName()), type = typeName(name);
  // A layer's weights and cache, and where each layer's are.
  out << "struct " << type << " {\n";
  llvm::StringSet<> outer = taken;
  for (auto parameter : function.getBody().getOps<exec::ParameterOp>()) {
    std::string field = unique(identifier(parameter.getSymName()));
    identifiers[parameter.getSymNameAttr()] = "w." + field;
    out << "  ";
    if (!parameter.getType()) {
      out << "Cache " << field << ";\n";
      continue;
    }
    types[parameter.getSymNameAttr()] = *parameter.getType();
    out << weightType(*parameter.getType()) << " " << field << ";" << weightComment(*parameter.getType()) << "\n";
  }
  out << "};\n\nvoid " << name << "(Run &run, const " << type << " &w) {\n";
  for (auto call : function.getBody().getOps<exec::CallOp>())
    COMPRESSC_RETURN_IF_ERROR(printCall(call));
  out << "}\n\n";
  taken = std::move(outer);
  for (auto parameter : function.getBody().getOps<exec::ParameterOp>())
    identifiers.erase(parameter.getSymNameAttr());
  return absl::OkStatus();
}

Status ProgramPrinter::printEntry(exec::EntryOp entry) {
  // Neighbouring invocations of one function are a loop over a table.
  std::vector<std::pair<exec::InvokeOp, std::vector<exec::InvokeOp>>> loops;
  for (Operation &op : entry.getBody().front()) {
    auto invoke = dyn_cast<exec::InvokeOp>(op);
    if (!invoke)
      continue;
    auto previous = dyn_cast_or_null<exec::InvokeOp>(op.getPrevNode());
    if (!previous || previous.getFunction() != invoke.getFunction())
      loops.push_back({invoke, {}});
    loops.back().second.push_back(invoke);
  }
  llvm::DenseMap<Operation *, std::string> tables;
  for (auto &[first, invokes] : loops) {
    std::string function = identifier(first.getFunction());
    tables[first] = unique(function + "s");
    out << "constexpr " << typeName(function) << " " << tables[first] << "[] = {\n";
    for (exec::InvokeOp invoke : invokes) {
      out << "    {";
      llvm::interleaveComma(invoke.getArguments().getAsRange<FlatSymbolRefAttr>(), out,
                            [&](FlatSymbolRefAttr argument) { out << places[argument.getAttr()]; });
      out << "},";
      if (invoke.getLayer())
        out << " // layer " << *invoke.getLayer();
      out << "\n";
    }
    out << "};\n\n";
  }
  out << "void " << identifier(entry.getSymName()) << "(Run &run) {\n";
  for (Operation &op : entry.getBody().front()) {
    if (auto call = dyn_cast<exec::CallOp>(op)) {
      COMPRESSC_RETURN_IF_ERROR(printCall(call));
      continue;
    }
    if (!tables.contains(&op))
      continue;
    std::string function = identifier(cast<exec::InvokeOp>(op).getFunction());
    out << "  for (const " << typeName(function) << " &w : " << tables[&op] << ")\n    " << function << "(run, w);\n";
  }
  out << "}\n\n";
  return absl::OkStatus();
}

std::string ProgramPrinter::operand(Attribute attribute) const {
  auto name = cast<FlatSymbolRefAttr>(attribute).getAttr();
  if (auto found = identifiers.find(name); found != identifiers.end())
    return found->second;
  return std::to_string(places.lookup(name)); // a cache, or a weight of a layer of its own kind
}

std::string ProgramPrinter::operands(ArrayRef<Attribute> attributes) const {
  std::string text;
  for (Attribute attribute : attributes)
    text += (text.empty() ? "" : ", ") + operand(attribute);
  return text;
}

Type ProgramPrinter::typeOf(Attribute attribute) const { return types.lookup(cast<FlatSymbolRefAttr>(attribute).getAttr()); }

exec::BufferOp ProgramPrinter::bufferOf(Attribute attribute) const {
  return dyn_cast_or_null<exec::BufferOp>(SymbolTable::lookupSymbolIn(program, cast<FlatSymbolRefAttr>(attribute)));
}

std::string ProgramPrinter::activation(StringRef kind) const {
  return llvm::StringSwitch<std::string>(kind)
      .Case("silu", "Activation::Silu")
      .Case("gelu", "Activation::Gelu")
      .Case("gelu_tanh", "Activation::GeluTanh")
      .Default("Activation::Relu");
}

} // namespace compressc
