# ONNX files: no MLIR. The schema is the one that the pinned onnx wheel carries; protobuf is linked
# statically, and only into the compiler.
find_program(COMPRESSC_PROTOC protoc REQUIRED)
find_library(COMPRESSC_PROTOBUF libprotobuf-lite.a REQUIRED)
file(GLOB site_packages "${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages")
find_path(COMPRESSC_ONNX_SCHEMA onnx/onnx.proto REQUIRED
  PATHS ${site_packages} NO_DEFAULT_PATH
  DOC "Directory that holds onnx/onnx.proto (tools/setup.sh installs it)")

set(generated "${CMAKE_CURRENT_BINARY_DIR}/onnx-schema")
file(MAKE_DIRECTORY "${generated}")
add_custom_command(
  OUTPUT "${generated}/onnx.pb.cc" "${generated}/onnx.pb.h"
  COMMAND "${COMPRESSC_PROTOC}" "--cpp_out=lite:${generated}" -I "${COMPRESSC_ONNX_SCHEMA}/onnx"
          "${COMPRESSC_ONNX_SCHEMA}/onnx/onnx.proto"
  DEPENDS "${COMPRESSC_ONNX_SCHEMA}/onnx/onnx.proto")
set_source_files_properties("${generated}/onnx.pb.cc" PROPERTIES COMPILE_OPTIONS -w)

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/ONNX/*.cpp
  ${CMAKE_CURRENT_LIST_DIR}/ONNX/Evaluate/*.cpp ${CMAKE_CURRENT_LIST_DIR}/ONNX/Patterns/*.cpp)
list(FILTER sources EXCLUDE REGEX ONNXBind) # over MLIR
add_library(CompresscONNX STATIC ${sources} "${generated}/onnx.pb.cc")
target_include_directories(CompresscONNX PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
target_include_directories(CompresscONNX SYSTEM PRIVATE "${generated}")
target_link_libraries(CompresscONNX PUBLIC CompresscModels CompresscBase CompresscHeaders
                                    PRIVATE "${COMPRESSC_PROTOBUF}")
