# config.json: no MLIR.
add_library(CompresscConfig STATIC
  ${CMAKE_CURRENT_LIST_DIR}/ConfigFields.cpp
  ${CMAKE_CURRENT_LIST_DIR}/ModelConfig.cpp)
target_include_directories(CompresscConfig PUBLIC ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(CompresscConfig PUBLIC CompresscBase CompresscHeaders)
