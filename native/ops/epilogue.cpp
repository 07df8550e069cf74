#include "epilogue.h"

#include <cmath>
#include <limits>

namespace xcorr {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Infinite bounds arrive as text-free numbers; NaN never does.
float Read(const Attributes& a, const std::string& name, double fallback) {
  return static_cast<float>(a.Number(name, fallback));
}

}  // namespace

Epilogue::Epilogue(const Attributes& a, const std::string& prefix) {
  const std::string kind = a.Text(prefix + "kind");
  const float alpha = Read(a, prefix + "alpha", 1), beta = Read(a, prefix + "beta", 0);
  if (kind.empty()) return;
  if (kind == "relu") fused = {ActivationKind::kClip, 0, kInfinity};
  else if (kind == "clip") fused = {ActivationKind::kClip, Read(a, prefix + "min", -kInfinity), Read(a, prefix + "max", kInfinity)};
  else if (kind == "leakyRelu") fused = {ActivationKind::kLeakyRelu, alpha, 0};
  else if (kind == "sigmoid") fused = {ActivationKind::kSigmoid, 0, 0};
  else if (kind == "hardSigmoid") fused = {ActivationKind::kHardSigmoid, alpha, beta};
  else if (kind == "hardSwish") fused = {ActivationKind::kHardSwish, 0, 0};
  else if (kind == "silu") fused = {ActivationKind::kSilu, alpha, 0};
  else if (kind == "tanh") fused = {ActivationKind::kTanh, 0, 0};
  else if (kind == "elu") fused = {ActivationKind::kElu, alpha, 0};
  else if (kind == "mish") fused = {ActivationKind::kMish, 0, 0};
  else if (kind == "gelu" && a.Text(prefix + "approximate") == "tanh") fused = {ActivationKind::kGeluTanh, 0, 0};
  else if (kind == "gelu" || kind == "softplus") rest = kind;
  else throw Declined("no kernel applies the activation \"" + kind + "\"");
  const bool clipMovesZero = fused.kind == ActivationKind::kClip && (fused.a > 0 || fused.b < 0);
  zeroStaysZero = !clipMovesZero && fused.kind != ActivationKind::kSigmoid && fused.kind != ActivationKind::kHardSigmoid && rest != "softplus";
}

void Epilogue::ApplyRest(float* data, int64_t count) const {
  if (rest == "softplus") {
    for (int64_t i = 0; i < count; ++i) data[i] = data[i] > 20 ? data[i] : std::log1p(std::exp(data[i]));
  } else if (rest == "gelu") {
    for (int64_t i = 0; i < count; ++i) data[i] = 0.5f * data[i] * (1 + std::erf(data[i] * 0.70710678f));
  }
}

}  // namespace xcorr
