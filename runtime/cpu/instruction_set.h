// Which of the variants under isa/ is called.
#pragma once

#include <cstdint>
#include <string_view>

namespace compressc {

/// Each has all that the ones before it have. The last three are compiled for the files that use them;
/// their other functions are those of the set before.
enum class Isa : uint8_t { Portable, Avx2, Avx512, Avx512Vnni, Avx512Bf16, Amx };

/// The instruction set in use (see InstructionSet()).
Isa ActiveIsa();

/// Uses another instruction set from now on: tests compare them in one process. False, and no
/// change, when the name is unknown or the CPU does not have it. Not to be called while kernels
/// run.
bool SetInstructionSetForTesting(std::string_view name);

/// Calls the active variant of a function that isa/functions.h declares.
#ifdef COMPRESSC_X86
#define COMPRESSC_ISA_CALL(function, ...)                                                          \
  (::compressc::ActiveIsa() == ::compressc::Isa::Amx ? ::compressc::amx::function(__VA_ARGS__)     \
   : ::compressc::ActiveIsa() == ::compressc::Isa::Avx512Bf16                                      \
       ? ::compressc::avx512bf16::function(__VA_ARGS__)                                            \
   : ::compressc::ActiveIsa() == ::compressc::Isa::Avx512Vnni                                      \
       ? ::compressc::avx512vnni::function(__VA_ARGS__)                                            \
   : ::compressc::ActiveIsa() == ::compressc::Isa::Avx512                                          \
       ? ::compressc::avx512::function(__VA_ARGS__)                                                \
   : ::compressc::ActiveIsa() == ::compressc::Isa::Avx2                                            \
       ? ::compressc::avx2::function(__VA_ARGS__)                                                  \
       : ::compressc::portable::function(__VA_ARGS__))
#else
#define COMPRESSC_ISA_CALL(function, ...) ::compressc::portable::function(__VA_ARGS__)
#endif

/// Declares functions once for each instruction set.
#define COMPRESSC_PER_ISA(...)                                                                     \
  namespace portable {                                                                             \
  __VA_ARGS__                                                                                      \
  }                                                                                                \
  namespace avx2 {                                                                                 \
  __VA_ARGS__                                                                                      \
  }                                                                                                \
  namespace avx512 {                                                                               \
  __VA_ARGS__                                                                                      \
  }

/// The same, and once more for a set that has variants of its own and for AMX.
#define COMPRESSC_PER_ISA_AND(name, ...)                                                           \
  COMPRESSC_PER_ISA(__VA_ARGS__)                                                                   \
  namespace name {                                                                                 \
  __VA_ARGS__                                                                                      \
  }                                                                                                \
  namespace amx {                                                                                  \
  __VA_ARGS__                                                                                      \
  }

namespace avx512 {}
namespace avx512vnni {
using namespace avx512;
}
namespace avx512bf16 {
using namespace avx512vnni;
}
namespace amx {
using namespace avx512bf16;
}

} // namespace compressc
