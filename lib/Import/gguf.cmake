# GGUF files as checkpoints: no MLIR.
add_library(CompresscGGUF STATIC
  ${CMAKE_CURRENT_LIST_DIR}/GGUF.cpp
  ${CMAKE_CURRENT_LIST_DIR}/GGUFModel.cpp
  ${CMAKE_CURRENT_LIST_DIR}/GGUFRope.cpp
  ${CMAKE_CURRENT_LIST_DIR}/GGUFTokenizer.cpp)
target_include_directories(CompresscGGUF PUBLIC ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(CompresscGGUF PUBLIC CompresscBase CompresscHeaders)
