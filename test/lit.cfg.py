"""lit: IR tests by stage, and end-to-end runs of the built programs."""

import os

import lit.formats

config.name = "compressc"
config.test_format = lit.formats.ShTest(False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "Unit", "Fuzz"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.compressc_build, "test")

for tools in (config.llvm_tools, os.path.join(config.compressc_build, "bin")):
    config.environment["PATH"] = tools + os.pathsep + config.environment["PATH"]
config.substitutions.append(("%inputs", os.path.join(config.test_source_root, "Inputs")))
config.substitutions.append(("%scripts", os.path.join(config.test_source_root, "EndToEnd")))
config.substitutions.append(("%python", config.python))
# The same number of threads everywhere, so that a loaded machine does not change a run.
config.environment["COMPRESSC_BIN"] = os.path.join(config.compressc_build, "bin")

# Built but for sanitized programs, which a preloaded library would upset.
faults = os.path.join(config.compressc_build, "lib", "libcompressc-fault.so")
if os.path.exists(faults):
    config.available_features.add("faults")
    config.substitutions.append(("%faults", faults))

if os.path.exists(config.nvcc):
    config.available_features.add("nvcc")

# Built where there is nvcc.
emulated = os.path.join(config.compressc_build, "lib", "compressc-emulated")
if os.path.exists(os.path.join(emulated, "runtime.o")):
    config.available_features.add("emulated-cuda")
    config.substitutions.append(("%emulated", emulated))
    config.substitutions.append(("%nvml", os.path.join(config.compressc_build, "lib", "emulation")))
