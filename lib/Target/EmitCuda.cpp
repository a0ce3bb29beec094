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
        if (StringRef gate = GateOf(call); !gate.empty())
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

  void printRmsNorm(exec::CallOp call) override {
    out << "rmsNorm(run, " << operands(call.getInputs().getValue()) << ", "
        << single(CallConstants{call.getConstants()}.real("epsilon", 0)) << ", " << operand(call.getOutputs()[0]) << ");\n";
  }

  void printRotary(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    CallOperands inputs(call);
    out << "rotaryEmbedding<" << constants.integer("head_dim") << ">(run, " << operand(inputs.one("x")) << ", "
        << operand(call.getOutputs()[0]) << ", " << frequencies[constants.list("frequencies")] << ", "
        << single(constants.real("attention_factor", 1));
    if (Attribute norm = inputs.one("norm"))
      out << ", " << operand(norm) << ".in(run), " << single(constants.real("epsilon", 0));
    out << ");\n";
  }

  void printAttention(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    CallOperands inputs(call);
    out << "attention<" << constants.integer("num_heads") << ", " << constants.integer("num_kv_heads");
    if (int64_t window = constants.integer("sliding_window"))
      out << ", " << window;
    out << ">(run, " << operands({inputs.one("q"), inputs.one("k"), inputs.one("v")}) << ", " << cache(inputs.one("cache"))
        << ", " << operand(call.getOutputs()[0]) << ", " << single(constants.real("scale", 1));
    if (ArrayAttr list = constants.list("frequencies")) {
      out << ",\n            rotated(" << frequencies[list] << ", " << single(constants.real("attention_factor", 1));
      if (Attribute norm = inputs.one("q's norm"))
        out << ", " << operand(norm) << ", " << operand(inputs.one("k's norm")) << ", "
            << single(constants.real("epsilon", 0));
      out << ")";
    }
    out << ");\n";
  }

  Status printLinear(exec::CallOp call) override {
    CallConstants constants{call.getConstants()};
    CallOperands inputs(call);
    if (ComputeOf(call) == "Compute::Int8")
      return Invalid("a linear computes in int8, which has no form in CUDA; compile with --activations=f32 or fp8");
    ArrayRef<Attribute> outputs = call.getOutputs().getValue(), weights = inputs.all("weights");
    std::vector<std::string> arguments;
    std::string x = operand(inputs.one("x"));
    if (Attribute norm = inputs.one("norm"))
      x = "normed(" + x + ", " + operand(norm) + ", " + single(constants.real("epsilon", 0)) + ")";
    arguments.push_back(x);
    SmallVector<Attribute> biases = BiasesOf(call);
    auto biasOf = [&](size_t i) { return biases.empty() ? Attribute() : biases[i]; };
    auto orNothing = [&](Attribute bias) { return bias ? operand(bias) : std::string("Nothing{}"); };
    StringRef gate = GateOf(call);
    Attribute residual = inputs.one("residual");
    if (!gate.empty()) {
      std::string text = ("gated<" + functorOf(gate).name + ">(").str() + operand(outputs[0]) + ", " + operands(weights);
      if (!biases.empty())
        text += ", " + orNothing(biasOf(0)) + ", " + orNothing(biasOf(1));
      arguments.push_back(text + ")");
    }
    for (size_t i = 0; gate.empty() && i < weights.size(); ++i) {
      std::string text = "into(" + operand(outputs[i]) + ", " + operand(weights[i]);
      Attribute bias = biasOf(i);
      if (bias || residual)
        text += ", plus(" + (bias ? operand(bias) + (residual ? ", " : "") : "") + (residual ? operand(residual) : "") + ")";
      arguments.push_back(text + ")");
    }
    std::string line = "linear<" + ComputeOf(call) + (constants.integer("answers") ? ", true" : "") + ">(run";
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
