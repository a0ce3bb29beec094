#include "instruction_set.h"
#include "compressc/runtime/kernel.h"
#include <atomic>
#include <cstdlib>
#if defined(COMPRESSC_X86) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace compressc {
namespace {

constexpr std::string_view isaNames[] = {"portable", "avx2", "avx512", "avx512vnni",
                                           "avx512bf16", "amx"};

/// Whether the CPU has tiles of bf16 and int8 and Linux lets this process use them: it must ask, because the
/// registers make every saved state 8 KiB larger.
[[maybe_unused]] bool mayUseTiles() {
#if defined(COMPRESSC_X86) && defined(__linux__)
  constexpr unsigned bf16 = 1u << 22, tiles = 1u << 24, int8 = 1u << 25, needed = bf16 | tiles | int8;
  constexpr long requestPermission = 0x1023, tileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & needed) == needed &&
         syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
#else
  return false;
#endif
}

Isa findBestIsa() {
#ifdef COMPRESSC_X86
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512vnni"))
    return !__builtin_cpu_supports("avx512bf16") ? Isa::Avx512Vnni
           : mayUseTiles()                        ? Isa::Amx
                                                  : Isa::Avx512Bf16;
  return avx512 ? Isa::Avx512 : avx2 ? Isa::Avx2 : Isa::Portable;
#else
  return Isa::Portable;
#endif
}

Isa bestIsa() {
  static const Isa best = findBestIsa();
  return best;
}

/// The instruction set of this name if the CPU has it, otherwise `fallback`.
Isa isaOr(std::string_view name, Isa fallback) {
  Isa best = bestIsa();
  for (int i = 0; i <= int(best); ++i)
    if (isaNames[i] == name)
      return Isa(i);
  return fallback;
}

Isa initialIsa() {
  const char *asked = std::getenv("COMPRESSC_ISA");
  return isaOr(asked ? asked : "", bestIsa());
}

std::atomic<Isa> &activeIsa() {
  static std::atomic<Isa> isa{initialIsa()};
  return isa;
}

} // namespace

Isa ActiveIsa() { return activeIsa().load(std::memory_order_relaxed); }

std::string_view InstructionSet() { return isaNames[int(ActiveIsa())]; }

bool SetInstructionSetForTesting(std::string_view name) {
  Isa isa = isaOr(name, ActiveIsa());
  if (isaNames[int(isa)] != name)
    return false;
  activeIsa().store(isa, std::memory_order_relaxed);
  return true;
}

} // namespace compressc
