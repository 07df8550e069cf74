// The activation that a problem's attributes ask for, split into what kernels apply and what is left for a pass of scalar code.
#pragma once
#include <memory>
#include <vector>

#include "op.h"

namespace xcorr {

struct Epilogue {
  explicit Epilogue(const Attributes& attributes, const std::string& prefix = "activation.");
  Activation fused;         // applied by the kernel
  std::string rest;         // "softplus": applied afterwards, see ApplyRest; empty: nothing
  bool zeroStaysZero = true;  // f(0) = 0, so padding lanes stay zero by themselves

  void ApplyRest(float* data, int64_t count) const;

 private:
  std::shared_ptr<const std::vector<float>> slopes_;  // what `fused` points to
};

}  // namespace xcorr
