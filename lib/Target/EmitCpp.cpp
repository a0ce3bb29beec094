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

  Status printKernel(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    StringRef kernel = call.getKernel();
    ArrayRef<Attribute> inputs = call.getInputs().getValue(), outputs = call.getOutputs().getValue();
    if (kernel == "rms_norm")
      out << "rmsNorm(run, " << operands(inputs) << ", " << SourceNumber(constants.real("epsilon", 0)) << ", "
          << operand(outputs[0]) << ");\n";
    else if (kernel == "layer_norm")
      out << "layerNorm(run, " << operands(inputs) << (inputs.size() < 3 ? ", none, " : ", ")
          << SourceNumber(constants.real("epsilon", 0)) << ", " << operand(outputs[0]) << ");\n";
    else if (kernel == "gated_activation")
      out << "gatedActivation(run, " << activation(constants.text("kind")) << ", " << operands(inputs) << ", "
          << operand(outputs[0]) << ");\n";
    else if (kernel == "rotary_embedding")
      printRotary(inputs, outputs, constants);
    else if (kernel == "attention")
      printAttention(inputs, outputs, constants);
    else if (kernel == "linear")
      printLinear(call);
    else
      return Invalid("the kernel ", kernel.str(), " has no form in C++");
    return absl::OkStatus();
  }

  void printRotary(ArrayRef<Attribute> inputs, ArrayRef<Attribute> outputs, const CallConstants &constants) {
    out << "rotaryEmbedding(run, " << operand(inputs[0]) << ", " << operand(outputs[0])
        << ", {.headDim = " << constants.integer("head_dim")
        << ", .frequencies = " << frequencies[constants.list("frequencies")];
    if (double factor = constants.real("attention_factor", 1); factor != 1)
      out << ", .factor = " << SourceNumber(factor);
    if (inputs.size() > 1)
      out << ", .norm = " << operand(inputs[1]) << ", .epsilon = " << SourceNumber(constants.real("epsilon", 0));
    out << "});\n";
  }

  void printAttention(ArrayRef<Attribute> inputs, ArrayRef<Attribute> outputs, const CallConstants &constants) {
    out << "attention(run, " << operands(inputs.take_front(4)) << ", " << operand(outputs[0])
        << ", {.heads = " << constants.integer("num_heads") << ", .kvHeads = " << constants.integer("num_kv_heads")
        << ", .scale = " << SourceNumber(constants.real("scale", 1));
    if (int64_t window = constants.integer("sliding_window"))
      out << ", .window = " << window;
    if (ArrayAttr list = constants.list("frequencies")) {
      out << ",\n            .frequencies = " << frequencies[list];
      if (double factor = constants.real("attention_factor", 1); factor != 1)
        out << ", .factor = " << SourceNumber(factor);
      if (inputs.size() > 4)
        out << ", .queryNorm = " << operand(inputs[4]) << ", .keyNorm = " << operand(inputs[5])
            << ", .epsilon = " << SourceNumber(constants.real("epsilon", 0));
    }
    out << "});\n";
  }

  void printLinear(exec::CallOp call) {
    LinearParts parts(call);
    std::vector<std::string> options;
    if (parts.norm) {
      options.push_back(".norm = " + operand(parts.norm));
      options.push_back(".epsilon = " + SourceNumber(parts.epsilon));
    }
    if (!parts.biases.empty()) {
      std::string biases;
      for (Attribute bias : parts.biases)
        biases += (biases.empty() ? "" : ", ") + (bias ? operand(bias) : "none");
      options.push_back(".biases = {" + biases + "}");
    }
    if (parts.added)
      options.push_back(".add = &" + operand(parts.added));
    if (!parts.gate.empty())
      options.push_back(".gate = " + activation(parts.gate));
    if (parts.compute == "bf16" || parts.compute == "int8" || parts.compute == "fp8")
      options.push_back(parts.compute == "bf16"   ? ".compute = Compute::BF16"
                        : parts.compute == "int8" ? ".compute = Compute::Int8"
                                                  : ".compute = Compute::Fp8");
    if (parts.answers)
      options.push_back(".answers = true");
    std::string line = "linear(run, " + operand(parts.x) + ", {" + operands(parts.weights) + "}, {" +
                       operands(call.getOutputs().getValue()) + "}";
    std::string last = options.empty() ? "" : "{" + llvm::join(options, ", ") + "}";
    bool breaks = 2 + line.size() + last.size() > 106;
    out << line << (last.empty() ? "" : breaks ? ",\n         " : ", ") << last << ");\n";
  }
};

} // namespace

Status EmitCpp(exec::ProgramOp program, StringRef title, raw_ostream &out) {
  return CppPrinter(program, out).run(title);
}

} // namespace compressc
