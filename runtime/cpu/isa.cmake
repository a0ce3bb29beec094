# The files under isa/ are one source compiled once for each instruction set; ActiveIsa() picks one at
# run time. No inline function of the standard library may be used there: the linker keeps one copy of
# it for the whole program, and that copy could need AVX-512.
file(GLOB isa_sources CONFIGURE_DEPENDS isa/*.cpp)

function(compressc_isa name level sources)
  set(library CompresscCpu_${name})
  add_library(${library} OBJECT ${sources})
  target_link_libraries(${library} PRIVATE CompresscHeaders)
  target_compile_definitions(${library} PRIVATE COMPRESSC_ISA=${name} COMPRESSC_ISA_LEVEL=${level})
  # GCC 12 takes the undefined vectors inside its own intrinsics for mistakes.
  target_compile_options(${library} PRIVATE ${ARGN} $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>)
  if(COMPRESSC_SANITIZE)
    # The checks of undefined behaviour multiply the compile time of unrolled vector code by fifty.
    target_compile_options(${library} PRIVATE -fno-sanitize=undefined)
  endif()
  target_sources(CompresscCpu PRIVATE $<TARGET_OBJECTS:${library}>)
endfunction()

# Optimised whatever the build type: a debug build runs models too. The sanitizers check every access, which
# makes the unrolled loops slow to compile.
set(optimize -O3)
if(COMPRESSC_SANITIZE)
  set(optimize -O1)
endif()
compressc_isa(portable 0 "${isa_sources}" ${optimize})
# Fuzzing looks at what the kernels are given, not at each vector loop.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT COMPRESSC_FUZZ)
  set(avx2 ${optimize} -mavx2 -mfma -mf16c -mbmi2)
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
  compressc_isa(avx2 1 "${isa_sources}" ${avx2})
  compressc_isa(avx512 2 "${isa_sources}" ${avx512})
  compressc_isa(avx512vnni 3 isa/int8.cpp ${avx512} -mavx512vnni)
  compressc_isa(avx512bf16 4 isa/gemm.cpp ${avx512} -mavx512bf16)
  compressc_isa(amx 5 "isa/amx/bf16.cpp;isa/int8.cpp" ${avx512} -mavx512vnni -mavx512bf16 -mamx-tile -mamx-bf16 -mamx-int8)
  target_compile_definitions(CompresscCpu PUBLIC COMPRESSC_X86=1)
endif()
