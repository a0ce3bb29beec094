// Print a schedule as C++: buffers, layers and entry points of a program over compressc/runtime/program.h.
#include "compressc/Target/EmitCpp.h"
#include "ProgramPrinter.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace compressc {
namespace {

class CppPrinter : public ProgramPrinter {
public:
  using ProgramPrinter::ProgramPrinter;

private:
  void printHeader() override {
    out << "\n#include \"compressc/runtime/program.h\"\n\nusing namespace compressc::program;\n\nnamespace {\n\n";
  }
  std::string weightType(Type) const override { return "Weight"; }
  std::string weightPlace(int64_t place) const override { return std::to_string(place); }
  StringRef language() const override { return "C++"; }
  StringRef definition() const override { return "compressc_program"; }

  void printValue(exec::BufferOp buffer, StringRef name) override {
    auto type = cast<RankedTensorType>(buffer.getType());
    out << "constexpr Value " << name << " = " << stringifyRowCount(buffer.getRows()) << "(" << type.getDimSize(1)
        << ", " << *buffer.getOffset() << (type.getElementType().isBF16() ? ", Type::BF16" : "") << ");\n";
  }

  void printRmsNorm(exec::CallOp call) override {
    out << "rmsNorm(run, " << operands(call.getInputs().getValue()) << ", "
        << SourceNumber(CallConstants{call.getConstants()}.real("epsilon", 0)) << ", " << operand(call.getOutputs()[0])
        << ");\n";
  }

  void printRotary(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    CallOperands inputs(call);
    out << "rotaryEmbedding(run, " << operand(inputs.one("x")) << ", " << operand(call.getOutputs()[0])
        << ", {.headDim = " << constants.integer("head_dim")
        << ", .frequencies = " << frequencies[constants.list("frequencies")];
    if (double factor = constants.real("attention_factor", 1); factor != 1)
      out << ", .factor = " << SourceNumber(factor);
    if (Attribute norm = inputs.one("norm"))
      out << ", .norm = " << operand(norm) << ", .epsilon = " << SourceNumber(constants.real("epsilon", 0));
    out << "});\n";
  }

  void printAttention(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    CallOperands inputs(call);
    out << "attention(run, " << operands({inputs.one("q"), inputs.one("k"), inputs.one("v"), inputs.one("cache")}) << ", "
        << operand(call.getOutputs()[0]) << ", {.heads = " << constants.integer("num_heads")
        << ", .kvHeads = " << constants.integer("num_kv_heads")
        << ", .scale = " << SourceNumber(constants.real("scale", 1));
    if (int64_t window = constants.integer("sliding_window"))
      out << ", .window = " << window;
    if (ArrayAttr list = constants.list("frequencies")) {
      out << ",\n            .frequencies = " << frequencies[list];
      if (double factor = constants.real("attention_factor", 1); factor != 1)
        out << ", .factor = " << SourceNumber(factor);
      if (Attribute norm = inputs.one("q's norm"))
        out << ", .queryNorm = " << operand(norm) << ", .keyNorm = " << operand(inputs.one("k's norm"))
            << ", .epsilon = " << SourceNumber(constants.real("epsilon", 0));
    }
    out << "});\n";
  }

  Status printLinear(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    CallOperands inputs(call);
    std::vector<std::string> options;
    if (Attribute norm = inputs.one("norm")) {
      options.push_back(".norm = " + operand(norm));
      options.push_back(".epsilon = " + SourceNumber(constants.real("epsilon", 0)));
    }
    if (SmallVector<Attribute> given = BiasesOf(call); !given.empty()) {
      std::string biases;
      for (Attribute bias : given)
        biases += (biases.empty() ? "" : ", ") + (bias ? operand(bias) : "none");
      options.push_back(".biases = {" + biases + "}");
    }
    if (Attribute residual = inputs.one("residual"))
      options.push_back(".add = &" + operand(residual));
    if (StringRef gate = GateOf(call); !gate.empty())
      options.push_back(".gate = " + activation(gate));
    if (std::string compute = ComputeOf(call); compute != "Compute::F32")
      options.push_back(".compute = " + compute);
    if (constants.integer("answers"))
      options.push_back(".answers = true");
    std::string line = "linear(run, " + operand(inputs.one("x")) + ", {" + operands(inputs.all("weights")) + "}, {" +
                       operands(call.getOutputs().getValue()) + "}";
    std::string last = options.empty() ? "" : "{" + llvm::join(options, ", ") + "}";
    bool breaks = 2 + line.size() + last.size() > 106;
    out << line << (last.empty() ? "" : breaks ? ",\n         " : ", ") << last << ");\n";
    return absl::OkStatus();
  }
};

} // namespace

Status EmitCpp(exec::ProgramOp program, StringRef title, raw_ostream &out) {
  return CppPrinter(program, out).run(title);
}

} // namespace compressc
