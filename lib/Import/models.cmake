# Configurations, GGUF files and the families of models: no MLIR.
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/HuggingFace/*.cpp
  ${CMAKE_CURRENT_LIST_DIR}/GGUF/*.cpp ${CMAKE_CURRENT_LIST_DIR}/Models/*.cpp)
add_library(CompresscModels STATIC ${sources})
target_include_directories(CompresscModels PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
target_link_libraries(CompresscModels PUBLIC CompresscBase CompresscHeaders)
