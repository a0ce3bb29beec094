// Print a schedule as C++: buffers, layers and entry points of a program over compressc/runtime/program.h.
#include "compressc/Target/EmitCpp.h"
#include "compressc/Conversion/ToSchedule.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"

using namespace mlir;

namespace compressc {
namespace {

/// A name as C++ takes it: "self_attn.q_proj.weight" -> "self_attn_q_proj".
std::string identifier(StringRef name) {
  name.consume_back(".weight");
  std::string result;
  for (char c : name)
    result += llvm::isAlnum(c) ? c : '_';
  if (result.empty() || llvm::isDigit(result[0]))
    result = "_" + result;
  return result;
}

/// A number that reads back as itself.
std::string number(double value) {
  for (int digits = 1; digits <= 17; ++digits) {
    std::string text;
    llvm::raw_string_ostream(text) << llvm::format("%.*g", digits, value);
    if (std::strtod(text.c_str(), nullptr) == value)
      return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
  }
  return "0.0";
}

/// The constants of a call.
struct Constants {
  DictionaryAttr attributes;

  int64_t integer(StringRef name, int64_t fallback = 0) const {
    auto value = attributes.getAs<IntegerAttr>(name);
    return value ? value.getInt() : fallback;
  }
  double real(StringRef name, double fallback) const {
    auto value = attributes.getAs<FloatAttr>(name);
    return value ? value.getValueAsDouble() : fallback;
  }
  StringRef text(StringRef name) const {
    auto value = attributes.getAs<StringAttr>(name);
    return value ? value.getValue() : StringRef();
  }
  ArrayAttr list(StringRef name) const { return attributes.getAs<ArrayAttr>(name); }
};

class Emitter {
public:
  Emitter(exec::ProgramOp program, raw_ostream &out) : program(program), out(out) {}

  Status run(StringRef title) {
    collect();
    out << "// " << title << "\n//\n// " << program.getMaxTokens() << " rows and " << program.getMaxSelected()
        << " selected rows at most, in an arena of " << program.getArena()
        << " bytes. Emitted by compressc;\n// the weights are bound when a session starts, in the order of the schedule.\n"
        << "#include \"compressc/runtime/program.h\"\n\nusing namespace compressc::program;\n\nnamespace {\n\n";
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
    out << "};\n\n} // namespace\n\nextern \"C\" const Program compressc_program = {\""
        << ScheduleDigest(ToSchedule(program)) << "\", entries, " << entries.size() << "};\n";
    return absl::OkStatus();
  }

private:
  /// Numbers weights and caches as the schedule does, and finds what entry points name themselves.
  void collect() {
    for (auto weight : program.getBody().getOps<exec::WeightOp>())
      places[weight.getSymNameAttr()] = weights++;
    for (auto cache : program.getBody().getOps<exec::CacheOp>())
      places[cache.getSymNameAttr()] = caches++;
    program.walk([&](exec::CallOp call) {
      bool outlined = isa<exec::FunctionOp>(call->getParentOp());
      for (auto name : call.getInputs().getAsRange<FlatSymbolRefAttr>())
        if (!outlined && isa_and_nonnull<exec::WeightOp>(SymbolTable::lookupSymbolIn(program, name.getAttr())))
          named.insert(name.getAttr());
      if (ArrayAttr list = Constants{call.getConstants()}.list("frequencies"))
        frequencies.try_emplace(list, "frequencies" + (frequencies.empty() ? "" : std::to_string(frequencies.size())));
    });
  }

  std::string unique(std::string name) {
    std::string result = name;
    for (int i = 2; !taken.insert(result).second; ++i)
      result = name + "_" + std::to_string(i);
    return result;
  }

  void printWeights() {
    if (named.empty())
      return;
    out << "// Weights outside the layers.\n";
    for (StringAttr name : named) {
      auto weight = cast<exec::WeightOp>(SymbolTable::lookupSymbolIn(program, name));
      identifiers[name] = unique(identifier(name.getValue()));
      out << "constexpr Weight " << identifiers[name] << " = " << places[name] << "; // " << weight.getType()
          << "\n";
    }
    out << "\n";
  }

  void printValues() {
    out << "// Values: a row for each token, or for each selected token; columns, first byte.\n";
    for (auto buffer : program.getBody().getOps<exec::BufferOp>()) {
      auto type = dyn_cast<RankedTensorType>(buffer.getType());
      if (!type || !buffer.getOffset() || buffer.getRows() == exec::RowCount::fixed)
        continue;
      identifiers[buffer.getSymNameAttr()] = unique(identifier(buffer.getSymName()));
      out << "constexpr Value " << identifiers[buffer.getSymNameAttr()] << " = "
          << stringifyRowCount(buffer.getRows()) << "(" << type.getDimSize(1) << ", " << *buffer.getOffset()
          << (type.getElementType().isBF16() ? ", Type::BF16" : "") << ");\n";
    }
    out << "\n";
  }

  void printFrequencies() {
    for (auto &[list, name] : frequencies) {
      out << "constexpr float " << name << "[] = {";
      for (auto [index, value] : llvm::enumerate(cast<ArrayAttr>(list).getAsRange<FloatAttr>()))
        out << (index % 8 ? " " : "\n    ") << number(value.getValueAsDouble()) << "f,";
      out << "\n};\n\n";
    }
  }

  Status printFunction(exec::FunctionOp function) {
    std::string name = identifier(function.getSymName()), type = name;
    type[0] = char(llvm::toUpper(type[0]));
    // A layer's weights and cache, and where each layer's are.
    out << "struct " << type << " {\n";
    llvm::StringSet<> outer = taken;
    for (auto parameter : function.getBody().getOps<exec::ParameterOp>()) {
      std::string field = unique(identifier(parameter.getSymName()));
      identifiers[parameter.getSymNameAttr()] = "w." + field;
      out << "  " << (parameter.getType() ? "Weight " : "Cache ") << field << ";";
      if (parameter.getType())
        out << " // " << *parameter.getType();
      out << "\n";
    }
    out << "};\n\nvoid " << name << "(Run &run, const " << type << " &w) {\n";
    for (auto call : function.getBody().getOps<exec::CallOp>())
      COMPRESSC_RETURN_IF_ERROR(printCall(call, "  "));
    out << "}\n\n";
    taken = std::move(outer);
    for (auto parameter : function.getBody().getOps<exec::ParameterOp>())
      identifiers.erase(parameter.getSymNameAttr());
    return absl::OkStatus();
  }

  Status printEntry(exec::EntryOp entry) {
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
      std::string function = identifier(first.getFunction()), type = function;
      type[0] = char(llvm::toUpper(type[0]));
      tables[first] = unique(function + "s");
      out << "constexpr " << type << " " << tables[first] << "[] = {\n";
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
        COMPRESSC_RETURN_IF_ERROR(printCall(call, "  "));
        continue;
      }
      if (!tables.contains(&op))
        continue;
      std::string function = identifier(cast<exec::InvokeOp>(op).getFunction()), type = function;
      type[0] = char(llvm::toUpper(type[0]));
      out << "  for (const " << type << " &w : " << tables[&op] << ")\n    " << function << "(run, w);\n";
    }
    out << "}\n\n";
    return absl::OkStatus();
  }

  std::string operand(Attribute attribute) {
    auto name = cast<FlatSymbolRefAttr>(attribute).getAttr();
    if (auto found = identifiers.find(name); found != identifiers.end())
      return found->second;
    return std::to_string(places.lookup(name)); // a cache, or a weight of a layer of its own kind
  }
  std::string operands(ArrayRef<Attribute> attributes) {
    std::string text;
    for (Attribute attribute : attributes)
      text += (text.empty() ? "" : ", ") + operand(attribute);
    return text;
  }

  Status printCall(exec::CallOp call, StringRef indent) {
    Constants constants{call.getConstants()};
    StringRef kernel = call.getKernel();
    ArrayRef<Attribute> inputs = call.getInputs().getValue(), outputs = call.getOutputs().getValue();
    for (Attribute output : outputs)
      if (!identifiers.contains(cast<FlatSymbolRefAttr>(output).getAttr()))
        return Invalid("the kernel ", kernel.str(), " makes a value without rows, which has no form in C++");
    out << indent;
    if (kernel == "embedding")
      out << "embedding(run, " << operand(inputs[1]) << ", " << operand(outputs[0]) << ");\n";
    else if (kernel == "select_rows")
      out << "selectRows(run, " << operand(inputs[0]) << ", " << operand(outputs[0]) << ");\n";
    else if (kernel == "add" || kernel == "mul")
      out << kernel << "(run, " << operands(inputs) << ", " << operand(outputs[0]) << ");\n";
    else if (kernel == "rms_norm")
      out << "rmsNorm(run, " << operands(inputs) << ", " << number(constants.real("epsilon", 0)) << ", "
          << operand(outputs[0]) << ");\n";
    else if (kernel == "layer_norm")
      out << "layerNorm(run, " << operands(inputs) << (inputs.size() < 3 ? ", none, " : ", ")
          << number(constants.real("epsilon", 0)) << ", " << operand(outputs[0]) << ");\n";
    else if (kernel == "gated_activation")
      out << "gatedActivation(run, " << activation(constants.text("kind")) << ", " << operands(inputs) << ", "
          << operand(outputs[0]) << ");\n";
    else if (kernel == "rotary_embedding")
      printRotary(inputs, outputs, constants);
    else if (kernel == "attention")
      printAttention(inputs, outputs, constants);
    else if (kernel == "linear")
      printLinear(inputs, outputs, constants, indent);
    else
      return Invalid("the kernel ", kernel.str(), " has no form in C++");
    return absl::OkStatus();
  }

  static std::string activation(StringRef kind) {
    return llvm::StringSwitch<std::string>(kind)
        .Case("silu", "Activation::Silu")
        .Case("gelu", "Activation::Gelu")
        .Case("gelu_tanh", "Activation::GeluTanh")
        .Default("Activation::Relu");
  }

  void printRotary(ArrayRef<Attribute> inputs, ArrayRef<Attribute> outputs, const Constants &constants) {
    out << "rotaryEmbedding(run, " << operand(inputs[0]) << ", " << operand(outputs[0])
        << ", {.headDim = " << constants.integer("head_dim")
        << ", .frequencies = " << frequencies[constants.list("frequencies")];
    if (double factor = constants.real("attention_factor", 1); factor != 1)
      out << ", .factor = " << number(factor);
    if (inputs.size() > 1)
      out << ", .norm = " << operand(inputs[1]) << ", .epsilon = " << number(constants.real("epsilon", 0));
    out << "});\n";
  }

  void printAttention(ArrayRef<Attribute> inputs, ArrayRef<Attribute> outputs, const Constants &constants) {
    out << "attention(run, " << operands(inputs) << ", " << operand(outputs[0])
        << ", {.heads = " << constants.integer("num_heads") << ", .kvHeads = " << constants.integer("num_kv_heads")
        << ", .scale = " << number(constants.real("scale", 1));
    if (int64_t window = constants.integer("sliding_window"))
      out << ", .window = " << window;
    out << "});\n";
  }

  void printLinear(ArrayRef<Attribute> inputs, ArrayRef<Attribute> outputs, const Constants &constants,
                   StringRef indent) {
    StringRef epilogue = constants.text("epilogue");
    bool norm = constants.text("prologue") == "rms_norm", residual = epilogue == "add";
    size_t count = size_t(constants.integer("weights", 1));
    Attribute x = inputs.front();
    inputs = inputs.drop_front();
    std::vector<std::string> options;
    if (norm) {
      options.push_back(".norm = " + operand(inputs.front()));
      options.push_back(".epsilon = " + number(constants.real("epsilon", 0)));
      inputs = inputs.drop_front();
    }
    ArrayRef<Attribute> weights = inputs.take_front(count);
    inputs = inputs.drop_front(count);
    Attribute added = residual ? inputs.back() : Attribute();
    if (residual)
      inputs = inputs.drop_back();
    // With one weight a further input is its bias.
    int64_t biased = constants.integer("biases", count == 1 && !inputs.empty());
    if (biased) {
      std::string biases;
      for (size_t i = 0; i < count; ++i) {
        biases += i ? ", " : "";
        if (!(biased >> i & 1)) {
          biases += "none";
          continue;
        }
        biases += operand(inputs.front());
        inputs = inputs.drop_front();
      }
      options.push_back(".biases = {" + biases + "}");
    }
    if (residual)
      options.push_back(".add = &" + operand(added));
    if (epilogue.consume_back("_mul"))
      options.push_back(".gate = " + activation(epilogue));
    StringRef compute = constants.text("compute");
    if (compute == "bf16" || compute == "int8" || compute == "fp8")
      options.push_back(compute == "bf16"   ? ".compute = Compute::BF16"
                        : compute == "int8" ? ".compute = Compute::Int8"
                                            : ".compute = Compute::Fp8");
    if (constants.integer("answers"))
      options.push_back(".answers = true");
    std::string line = "linear(run, " + operand(x) + ", {" + operands(weights) + "}, {" + operands(outputs) + "}";
    std::string last = options.empty() ? "" : "{" + llvm::join(options, ", ") + "}";
    bool breaks = indent.size() + line.size() + last.size() > 106;
    out << line << (last.empty() ? std::string() : breaks ? ",\n" + indent.str() + "       " : ", ") << last << ");\n";
  }

  exec::ProgramOp program;
  raw_ostream &out;
  int64_t weights = 0, caches = 0;
  llvm::DenseMap<StringAttr, int64_t> places;
  llvm::DenseMap<StringAttr, std::string> identifiers;
  llvm::SetVector<StringAttr> named;
  llvm::MapVector<Attribute, std::string> frequencies;
  llvm::StringSet<> taken;
};

} // namespace

Status EmitCpp(exec::ProgramOp program, StringRef title, raw_ostream &out) {
  return Emitter(program, out).run(title);
}

} // namespace compressc
