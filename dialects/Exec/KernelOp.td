// The interface that makes lowering to exec generic.
#ifndef COMPRESSC_EXEC_KERNELOP_TD
#define COMPRESSC_EXEC_KERNELOP_TD

include "mlir/IR/Interfaces.td"

def KernelOpInterface : OpInterface<"KernelOpInterface"> {
  let description = [{
    An operation that one runtime kernel computes. The lowering of lm and compress operations to
    `exec.call` is written once, over this interface and the kernel's row (compressc/runtime/kernel_row.h):
    tensor-like operands become buffers or weights in order, `!lm.cache` operands become cache slots, `!lm.batch` operands are dropped (kernels see the
    batch in their context), results become buffers.
  }];
  let cppNamespace = "::compressc::exec";
  let methods = [
    InterfaceMethod<"The kernel's name in the runtime's table.", "::llvm::StringRef", "getKernelName",
      (ins), "", [{ return $_op->getName().stripDialect(); }]>,
    InterfaceMethod<"Constant attributes of the call: integers, floats, strings, arrays of floats.",
      "void", "getKernelAttributes", (ins "::mlir::NamedAttrList &":$attributes), "", [{
        for (::mlir::NamedAttribute attribute : $_op->getAttrs())
          attributes.push_back(attribute);
      }]>
  ];
}

#endif // COMPRESSC_EXEC_KERNELOP_TD
