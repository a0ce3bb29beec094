// Print a schedule as CUDA: buffers, layers and entry points of a program over runtime/cuda/program.cuh.
#include "compressc/Target/EmitCuda.h"
#include "ProgramPrinter.h"
#include "dialects/Compress/Compress.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include <map>

using namespace mlir;

namespace compressc {
namespace {

std::string plainType(Type type) { return type.isF16() ? "DType::F16" : type.isBF16() ? "DType::BF16" : "DType::F32"; }

/// A functor over the products of a gated linear, by the activation's name.
struct Functor {
  StringRef name, kind, text;
};
Functor functorOf(StringRef activation) {
  return llvm::StringSwitch<Functor>(activation)
      .Case("silu", {"SiluMul", "Silu", "silu(gate) * up"})
      .Case("gelu", {"GeluMul", "Gelu", "gelu(gate) * up"})
      .Case("gelu_tanh", {"GeluTanhMul", "GeluTanh", "gelu_tanh(gate) * up"})
      .Default({"ReluMul", "Relu", "relu(gate) * up"});
}

class CudaPrinter : public ProgramPrinter {
public:
  using ProgramPrinter::ProgramPrinter;

private:
  void printHeader() override {
    out << " Runs of few rows are recorded as\n// CUDA graphs, one for each shape of a batch.\n"
        << "#include \"runtime/cuda/program.cuh\"\n\nusing namespace compressc;\nusing namespace "
           "compressc::cuda::program;\n\nnamespace {\n\n";
  }
  std::string weightComment(Type) const override { return ""; }
  std::string weightPlace(int64_t place) const override { return "{" + std::to_string(place) + "}"; }
  StringRef language() const override { return "CUDA"; }
  StringRef definition() const override { return "compressc_cuda_program"; }

  /// Formats of packed weights get names: W4g128.
  void printDefinitions() override {
    program.walk([&](Operation *op) {
      Type type = TypeSwitch<Operation *, Type>(op)
                      .Case([](exec::WeightOp weight) { return weight.getType(); })
                      .Case([](exec::ParameterOp parameter) { return parameter.getType().value_or(Type()); })
                      .Default([](Operation *) { return Type(); });
      if (auto packed = dyn_cast_or_null<compress::PackedType>(type))
        if (std::string &name = formats[formatOf(packed)]; name.empty())
          name = unique("W" + std::to_string(packed.getBits()) + "g" + std::to_string(packed.getGroup()));
      if (auto call = dyn_cast<exec::CallOp>(op); call && call.getKernel() == "linear")
        if (StringRef gate = LinearParts(call).gate; !gate.empty())
          activations.insert(gate);
    });
    if (!formats.empty())
      out << "// Formats of weights: codes of so many bits, a scale (and a zero) for each group of columns.\n";
    for (auto &[text, name] : formats)
      out << "using " << name << " = " << text << ";\n";
    if (!formats.empty())
      out << "\n";
    for (StringRef gate : activations) {
      Functor functor = functorOf(gate);
      out << "/// " << functor.text << "\nstruct " << functor.name << " {\n  static constexpr Activation kind = Activation::"
          << functor.kind << ";\n  __device__ float operator()(float gate, float up) const { return up * Activate<kind>(gate); }\n};\n\n";
    }
  }

  static std::string formatOf(compress::PackedType packed) {
    return "Packed<" + std::to_string(packed.getBits()) + ", " + std::to_string(packed.getGroup()) + ", " +
           plainType(packed.getScaleType()) + ", " + (packed.getSymmetric() ? "false" : "true") + ">";
  }

  std::string weightType(Type type) const override {
    auto text = [](int64_t rows, int64_t columns, const std::string &format) {
      return "Weight<" + std::to_string(rows) + ", " + std::to_string(columns) + ", " + format + ">";
    };
    if (auto packed = dyn_cast<compress::PackedType>(type))
      return text(packed.getRows(), packed.getColumns(), formats.at(formatOf(packed)));
    if (auto blocks = dyn_cast<compress::BlocksType>(type))
      return text(blocks.getRows(), blocks.getColumns(), "Plain<DType::" + blocks.getFormat().upper() + ">");
    auto tensor = cast<RankedTensorType>(type);
    if (tensor.getRank() == 1)
      return "Vector<" + std::to_string(tensor.getDimSize(0)) + ">";
    return text(tensor.getDimSize(0), tensor.getDimSize(1), "Plain<" + plainType(tensor.getElementType()) + ">");
  }

  void printValue(exec::BufferOp buffer, StringRef name) override {
    auto type = cast<RankedTensorType>(buffer.getType());
    out << "constexpr " << (buffer.getRows() == exec::RowCount::tokens ? "Tokens<" : "Selected<") << type.getDimSize(1)
        << (type.getElementType().isBF16() ? ", Half" : "") << "> " << name << "{" << *buffer.getOffset() << "};\n";
  }

  std::string cache(Attribute attribute) const {
    std::string text = operand(attribute);
    return llvm::isDigit(text[0]) ? "Cache{" + text + "}" : text;
  }

  static std::string single(double value) { return SourceNumber(value) + "f"; }

  Status printKernel(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    StringRef kernel = call.getKernel();
    ArrayRef<Attribute> inputs = call.getInputs().getValue(), outputs = call.getOutputs().getValue();
    if (kernel == "rms_norm")
      out << "rmsNorm(run, " << operands(inputs) << ", " << single(constants.real("epsilon", 0)) << ", "
          << operand(outputs[0]) << ");\n";
    else if (kernel == "layer_norm")
      out << "layerNorm(run, " << operands(inputs.take_front(2)) << ", "
          << (inputs.size() < 3 ? "nullptr" : operand(inputs[2]) + ".in(run)") << ", "
          << single(constants.real("epsilon", 0)) << ", " << operand(outputs[0]) << ");\n";
    else if (kernel == "gated_activation")
      out << "gatedActivation<" << activation(constants.text("kind")) << ">(run, " << operands(inputs) << ", "
          << operand(outputs[0]) << ");\n";
    else if (kernel == "rotary_embedding")
      printRotary(inputs, outputs, constants);
    else if (kernel == "attention")
      printAttention(inputs, outputs, constants);
    else if (kernel == "linear")
      return printLinear(call);
    else
      return Invalid("the kernel ", kernel.str(), " has no form in CUDA");
    return absl::OkStatus();
  }

  void printRotary(ArrayRef<Attribute> inputs, ArrayRef<Attribute> outputs, const CallConstants &constants) {
    out << "rotaryEmbedding<" << constants.integer("head_dim") << ">(run, " << operand(inputs[0]) << ", "
        << operand(outputs[0]) << ", " << frequencies[constants.list("frequencies")] << ", "
        << single(constants.real("attention_factor", 1));
    if (inputs.size() > 1)
      out << ", " << operand(inputs[1]) << ".in(run), " << single(constants.real("epsilon", 0));
    out << ");\n";
  }

  void printAttention(ArrayRef<Attribute> inputs, ArrayRef<Attribute> outputs, const CallConstants &constants) {
    out << "attention<" << constants.integer("num_heads") << ", " << constants.integer("num_kv_heads");
    if (int64_t window = constants.integer("sliding_window"))
      out << ", " << window;
    out << ">(run, " << operands(inputs.take_front(3)) << ", " << cache(inputs[3]) << ", " << operand(outputs[0]) << ", "
        << single(constants.real("scale", 1));
    if (ArrayAttr list = constants.list("frequencies")) {
      out << ",\n            rotated(" << frequencies[list] << ", " << single(constants.real("attention_factor", 1));
      if (inputs.size() > 4)
        out << ", " << operands(inputs.drop_front(4)) << ", " << single(constants.real("epsilon", 0));
      out << ")";
    }
    out << ");\n";
  }

  Status printLinear(exec::CallOp call) {
    LinearParts parts(call);
    if (parts.compute == "int8")
      return Invalid("a linear computes in int8, which has no form in CUDA; compile with --activations=f32 or fp8");
    ArrayRef<Attribute> outputs = call.getOutputs().getValue();
    std::vector<std::string> arguments;
    std::string x = operand(parts.x);
    if (parts.norm)
      x = "normed(" + x + ", " + operand(parts.norm) + ", " + single(parts.epsilon) + ")";
    arguments.push_back(x);
    auto biasOf = [&](size_t i) { return parts.biases.empty() ? Attribute() : parts.biases[i]; };
    auto orNothing = [&](Attribute bias) { return bias ? operand(bias) : std::string("Nothing{}"); };
    if (!parts.gate.empty()) {
      std::string text = ("gated<" + functorOf(parts.gate).name + ">(").str() + operand(outputs[0]) + ", " + operands(parts.weights);
      if (!parts.biases.empty())
        text += ", " + orNothing(biasOf(0)) + ", " + orNothing(biasOf(1));
      arguments.push_back(text + ")");
    }
    for (size_t i = 0; parts.gate.empty() && i < parts.weights.size(); ++i) {
      std::string text = "into(" + operand(outputs[i]) + ", " + operand(parts.weights[i]);
      Attribute bias = biasOf(i);
      if (bias || parts.added)
        text += ", plus(" + (bias ? operand(bias) + (parts.added ? ", " : "") : "") + (parts.added ? operand(parts.added) : "") + ")";
      arguments.push_back(text + ")");
    }
    std::string line = std::string("linear<Compute::") + (parts.compute == "bf16" ? "BF16" : parts.compute == "fp8" ? "Fp8" : "F32") + (parts.answers ? ", true" : "") + ">(run";
    size_t width = 2 + line.size();
    out << line;
    for (const std::string &argument : arguments) {
      bool breaks = width + argument.size() > 112;
      out << (breaks ? ",\n         " : ", ") << argument;
      width = (breaks ? 9 : width + 2) + argument.size();
    }
    out << ");\n";
    return absl::OkStatus();
  }

  std::map<std::string, std::string> formats; // names of packed types
  llvm::SetVector<StringRef> activations; // of gated linears
};

} // namespace

Status EmitCuda(exec::ProgramOp program, StringRef title, raw_ostream &out) { return CudaPrinter(program, out).run(title); }

} // namespace compressc
