#include "lib/Materialize/ValueDigests.h"
#include "dialects/Compress/Compress.h"
#include "dialects/LM/LM.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

namespace compressc {
namespace {

const std::string original = R"(
  lm.param @a splat 1.0 : tensor<4x32xf32>
  lm.param @b splat 2.0 : tensor<4x32xf32>
  func.func @f(%x: tensor<?x32xf32>) -> tensor<?x4xf32> {
    %y = lm.block 0 (%i = %x) : (tensor<?x32xf32>) -> tensor<?x4xf32> {
      %s = compress.observe %i : tensor<?x32xf32> -> !compress.statistics<32>
      %w = lm.load_param @a : tensor<4x32xf32>
      %c, %n = compress.clip %w, %s {bits = 4 : i64, group = 32 : i64, scale_type = f16, symmetric = false} : (tensor<4x32xf32>, !compress.statistics<32>) -> (tensor<4x32xf32>, tensor<2xf32>)
      %r = lm.linear %i, %c : (tensor<?x32xf32>, tensor<4x32xf32>) -> tensor<?x4xf32>
      lm.yield %r : tensor<?x4xf32>
    }
    return %y : tensor<?x4xf32>
  })";

struct ValueDigestsTest : ::testing::Test {
  ValueDigestsTest() {
    context.loadDialect<lm::LMDialect, compress::CompressDialect, mlir::func::FuncDialect>();
  }

  static std::string replaced(std::string text, const std::string &from, const std::string &to) {
    size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  /// Of what the function returns.
  Digest digest(const std::string &text, Digest environment = {1, 1}, Digest tokens = {2, 2}, size_t shares = 1) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    ValueDigests digests(*module, nullptr, environment, tokens, shares);
    auto function = *module->getOps<mlir::func::FuncOp>().begin();
    auto result = digests.get(function.getBody().front().getTerminator()->getOperand(0));
    EXPECT_TRUE(result.ok()) << result.status();
    return *result;
  }

  mlir::MLIRContext context;
};

TEST_F(ValueDigestsTest, NamesAndPlacesDoNotMatter) {
  Digest known = digest(original);
  EXPECT_EQ(digest(original), known);
  EXPECT_EQ(digest(replaced(replaced(original, "@a splat", "@other splat"), "load_param @a", "load_param @other")), known);
  EXPECT_EQ(digest(replaced(original, "      %w = lm.load", "\n\n      %w = lm.load")), known);
  // An operation that nothing needs.
  EXPECT_EQ(digest(replaced(original, "      %w =", "      %z = lm.load_param @b : tensor<4x32xf32>\n      %w =")), known);
}

TEST_F(ValueDigestsTest, WhatResultsDependOnMatters) {
  Digest known = digest(original);
  EXPECT_NE(digest(replaced(original, "bits = 4", "bits = 3")), known);
  EXPECT_NE(digest(replaced(original, "splat 1.0", "splat 1.5")), known);
  EXPECT_NE(digest(replaced(original, "load_param @a", "load_param @b")), known);
  EXPECT_NE(digest(replaced(original, "lm.linear %i, %c", "lm.linear %i, %w")), known);
  EXPECT_NE(digest(original, {1, 2}), known) << "another program";
  EXPECT_NE(digest(original, {1, 1}, {2, 3}), known) << "other calibration tokens";
}

TEST_F(ValueDigestsTest, HowManyShareCalibrationMattersBehindStatistics) {
  Digest known = digest(original);
  EXPECT_EQ(digest(original, {1, 1}, {2, 2}, 1), known);
  EXPECT_NE(digest(original, {1, 1}, {2, 2}, 2), known);
  EXPECT_NE(digest(original, {1, 1}, {2, 2}, 2), digest(original, {1, 1}, {2, 2}, 4));
  std::string plain = replaced(original, "lm.linear %i, %c", "lm.linear %i, %w");
  EXPECT_EQ(digest(plain, {1, 1}, {2, 2}, 2), digest(plain));
}

TEST_F(ValueDigestsTest, MissingWeightsAreAnError) {
  auto module = mlir::parseSourceString<mlir::ModuleOp>(replaced(original, "@a splat 1.0", "@a"), &context);
  ValueDigests digests(*module, nullptr, {}, {});
  auto function = *module->getOps<mlir::func::FuncOp>().begin();
  EXPECT_FALSE(digests.get(function.getBody().front().getTerminator()->getOperand(0)).ok());
}

} // namespace
} // namespace compressc
