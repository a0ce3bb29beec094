# MLIR and LLVM, shared (development) or static (release). Debian's packages, version 22.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# Debian's static MLIR targets name libLLVM.so among their interface libraries, so that a static link
# silently stays dynamic. Replace the shared libraries by what they stand for.
if(COMPRESSC_STATIC)
  foreach(target IN LISTS MLIR_EXPORTED_TARGETS LLVM_AVAILABLE_LIBS)
    if(TARGET ${target})
      get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
      if(libraries)
        list(REMOVE_ITEM libraries LLVM MLIR zstd::libzstd_shared LibEdit::LibEdit)
        list(FILTER libraries EXCLUDE REGEX "curl|libz3|zstd_shared|ZLIB")
        set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
      endif()
    endif()
  endforeach()
  find_library(COMPRESSC_LIBZ libz.a REQUIRED)
  find_library(COMPRESSC_LIBZSTD libzstd.a REQUIRED)
  set_property(TARGET LLVMSupport APPEND PROPERTY INTERFACE_LINK_LIBRARIES
               "${COMPRESSC_LIBZ};${COMPRESSC_LIBZSTD}")
  set_property(TARGET MLIRSupport APPEND PROPERTY INTERFACE_LINK_LIBRARIES "LLVMSupport;LLVMRemarks")
endif()

include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
include_directories("${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}"
                    "${PROJECT_BINARY_DIR}" "${PROJECT_BINARY_DIR}/include")

# compressc_library(NAME SOURCES ... LINK ... [DEPENDS ...]): a static library of ours over MLIR.
function(compressc_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  if(NOT COMPRESSC_NO_PCH)
    target_precompile_headers(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tools/cmake/pch.h")
  endif()
endfunction()

# compressc_passes(NAME): TableGen for include/compressc/NAME/Passes.td, and its documentation.
function(compressc_passes name)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include/compressc/${name})
  set(LLVM_TARGET_DEFINITIONS ${PROJECT_SOURCE_DIR}/include/compressc/${name}/Passes.td)
  mlir_tablegen(${PROJECT_BINARY_DIR}/include/compressc/${name}/Passes.h.inc -gen-pass-decls -name ${name})
  mlir_tablegen(Passes.md -gen-pass-doc)
  add_public_tablegen_target(Compressc${name}IncGen)
  add_custom_target(Compressc${name}Doc DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/Passes.md)
  add_dependencies(compressc-doc Compressc${name}Doc)
endfunction()

# Links an executable with the MLIR components it names, or with the two shared libraries.
function(compressc_link_mlir target)
  if(COMPRESSC_STATIC)
    target_link_libraries(${target} PRIVATE ${ARGN})
  else()
    target_link_libraries(${target} PRIVATE MLIR LLVM)
  endif()
endfunction()
