#include "matmul.h"
#include <cublasLt.h>
#include <dlfcn.h>
#include <map>
#include <tuple>

namespace compressc::cuda {
namespace {

constexpr const char *libraries[] = {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13"};

struct Functions {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulDescCreate) descriptionCreate;
  decltype(&cublasLtMatmulDescDestroy) descriptionDestroy;
  decltype(&cublasLtMatmulDescSetAttribute) descriptionSet;
  decltype(&cublasLtMatrixLayoutCreate) layoutCreate;
  decltype(&cublasLtMatrixLayoutDestroy) layoutDestroy;
  decltype(&cublasLtMatmulPreferenceCreate) preferenceCreate;
  decltype(&cublasLtMatmulPreferenceDestroy) preferenceDestroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preferenceSet;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
};

cudaDataType_t dataType(DType type) {
  switch (type) {
  case DType::BF16: return CUDA_R_16BF;
  case DType::F16: return CUDA_R_16F;
  default: return CUDA_R_32F;
  }
}

Status check(cublasStatus_t status, absl::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS)
    return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuBLASLt: ", what, " failed with status ", int(status)));
}

class LibraryMatmul : public Matmul {
public:
  Status open() {
    for (const char *path : libraries)
      if ((library = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
        break;
    if (!library)
      return absl::NotFoundError(absl::StrCat(libraries[0], " was not found; it comes with the CUDA toolkit and the pip "
                                              "package nvidia-cublas: put its folder in LD_LIBRARY_PATH, or use --device=cpu"));
    bool whole = true;
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      whole &= function != nullptr;
    };
    find(lt.create, "cublasLtCreate");
    find(lt.destroy, "cublasLtDestroy");
    find(lt.matmul, "cublasLtMatmul");
    find(lt.descriptionCreate, "cublasLtMatmulDescCreate");
    find(lt.descriptionDestroy, "cublasLtMatmulDescDestroy");
    find(lt.descriptionSet, "cublasLtMatmulDescSetAttribute");
    find(lt.layoutCreate, "cublasLtMatrixLayoutCreate");
    find(lt.layoutDestroy, "cublasLtMatrixLayoutDestroy");
    find(lt.preferenceCreate, "cublasLtMatmulPreferenceCreate");
    find(lt.preferenceDestroy, "cublasLtMatmulPreferenceDestroy");
    find(lt.preferenceSet, "cublasLtMatmulPreferenceSetAttribute");
    find(lt.heuristic, "cublasLtMatmulAlgoGetHeuristic");
    if (!whole)
      return absl::NotFoundError(absl::StrCat(libraries[0], " lacks functions of CUDA 13"));
    COMPRESSC_RETURN_IF_ERROR(check(lt.create(&handle), "cublasLtCreate"));
    if (cudaMalloc(&workspace, workspaceBytes) != cudaSuccess)
      return absl::ResourceExhaustedError("the GPU has no memory left for cuBLASLt's workspace");
    return absl::OkStatus();
  }

  ~LibraryMatmul() override {
    for (auto &[key, plan] : plans) {
      if (plan.description)
        lt.descriptionDestroy(plan.description);
      for (cublasLtMatrixLayout_t layout : {plan.w, plan.x, plan.out})
        if (layout)
          lt.layoutDestroy(layout);
    }
    cudaFree(workspace);
    if (handle)
      lt.destroy(handle);
  }

  using Matmul::run;
  Status run(cudaStream_t stream, const Product &product) override {
    COMPRESSC_ASSIGN_OR_RETURN(const Plan *plan, planFor(product));
    float one = 1, beta = product.accumulate ? 1 : 0;
    return check(lt.matmul(handle, plan->description, &one, product.w, plan->w, product.x, plan->x, &beta, product.out,
                           plan->out, product.out, plan->out, &plan->algorithm, workspace, workspaceBytes, stream),
                 "a matrix product");
  }

private:
  struct Plan {
    cublasLtMatmulDesc_t description = nullptr;
    cublasLtMatrixLayout_t w = nullptr, x = nullptr, out = nullptr;
    cublasLtMatmulAlgo_t algorithm;
    Status status;
  };
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, DType, DType, bool, bool>;

  StatusOr<const Plan *> planFor(const Product &product) {
    Key key{product.m, product.n, product.k, product.ldx, product.ldw,
            product.ldo, product.type, product.outType, product.accumulate, product.transposed};
    auto [found, isNew] = plans.try_emplace(key);
    Plan &plan = found->second;
    if (isNew)
      plan.status = make(product, plan);
    COMPRESSC_RETURN_IF_ERROR(plan.status);
    return &plan;
  }

  /// cuBLASLt's matrices are column-major: out^T[n, m] = w[n, k] x^T[k, m], of which w is stored transposed, or with
  /// `transposed` x^T.
  Status make(const Product &product, Plan &plan) {
    auto [m, n, k] = std::tuple(product.m, product.n, product.k);
    COMPRESSC_RETURN_IF_ERROR(check(lt.descriptionCreate(&plan.description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "a description"));
    cublasOperation_t transposed = CUBLAS_OP_T;
    COMPRESSC_RETURN_IF_ERROR(check(
        lt.descriptionSet(plan.description, product.transposed ? CUBLASLT_MATMUL_DESC_TRANSB : CUBLASLT_MATMUL_DESC_TRANSA,
                          &transposed, sizeof transposed),
        "a description"));
    auto layout = [&](cublasLtMatrixLayout_t &to, int64_t rows, int64_t ld) {
      return check(product.transposed ? lt.layoutCreate(&to, dataType(product.type), uint64_t(rows), uint64_t(k), ld)
                                      : lt.layoutCreate(&to, dataType(product.type), uint64_t(k), uint64_t(rows), ld),
                   "a layout");
    };
    COMPRESSC_RETURN_IF_ERROR(layout(plan.w, n, product.ldw));
    COMPRESSC_RETURN_IF_ERROR(layout(plan.x, m, product.ldx));
    COMPRESSC_RETURN_IF_ERROR(check(lt.layoutCreate(&plan.out, dataType(product.outType), uint64_t(n), uint64_t(m), product.ldo), "a layout"));
    cublasLtMatmulPreference_t preference = nullptr;
    COMPRESSC_RETURN_IF_ERROR(check(lt.preferenceCreate(&preference), "a preference"));
    size_t most = workspaceBytes;
    lt.preferenceSet(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most);
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    cublasStatus_t status = lt.heuristic(handle, plan.description, plan.w, plan.x, plan.out, plan.out, preference, 1, &result, &found);
    lt.preferenceDestroy(preference);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED)
      COMPRESSC_RETURN_IF_ERROR(check(status, "the choice of an algorithm"));
    if (found == 0)
      return absl::InternalError(absl::StrCat("cuBLASLt has no algorithm for a product of [", m, ", ", k, "] and [", n, ", ", k, "]"));
    plan.algorithm = result.algo;
    return absl::OkStatus();
  }

  void *library = nullptr; // never closed: it has threads of its own
  Functions lt{};
  cublasLtHandle_t handle = nullptr;
  void *workspace = nullptr;
  std::map<Key, Plan> plans;
};

} // namespace

StatusOr<std::unique_ptr<Matmul>> Matmul::Load() {
  auto matmul = std::make_unique<LibraryMatmul>();
  COMPRESSC_RETURN_IF_ERROR(matmul->open());
  return std::unique_ptr<Matmul>(std::move(matmul));
}

} // namespace compressc::cuda
