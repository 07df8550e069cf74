#include "epilogue.h"

#include <cmath>
#include <limits>

namespace xcorr {
namespace {

// More than a panel can reach beyond the last channel.
constexpr size_t kPaddedLanes = 64;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Infinite bounds arrive as text-free numbers; NaN never does.
float Read(const Attributes& a, const std::string& name, double fallback) {
  return static_cast<float>(a.Number(name, fallback));
}

Activation MakeActivation(ActivationKind kind, float a, float b) {
  Activation made;
  made.kind = kind;
  made.a = a;
  made.b = b;
  return made;
}

}  // namespace

Epilogue::Epilogue(const Attributes& a, const std::string& prefix) {
  const std::string kind = a.Text(prefix + "kind");
  const float alpha = Read(a, prefix + "alpha", 1), beta = Read(a, prefix + "beta", 0);
  if (kind.empty()) return;
  if (kind == "relu") fused = MakeActivation(ActivationKind::kClip, 0, kInfinity);
  else if (kind == "clip") fused = MakeActivation(ActivationKind::kClip, Read(a, prefix + "min", -kInfinity), Read(a, prefix + "max", kInfinity));
  else if (kind == "leakyRelu") fused = MakeActivation(ActivationKind::kLeakyRelu, alpha, 0);
  else if (kind == "prelu") fused = MakeActivation(ActivationKind::kPrelu, 0, 0);
  else if (kind == "sigmoid") fused = MakeActivation(ActivationKind::kSigmoid, 0, 0);
  else if (kind == "hardSigmoid") fused = MakeActivation(ActivationKind::kHardSigmoid, alpha, beta);
  else if (kind == "hardSwish") fused = MakeActivation(ActivationKind::kHardSwish, 0, 0);
  else if (kind == "silu") fused = MakeActivation(ActivationKind::kSilu, alpha, 0);
  else if (kind == "tanh") fused = MakeActivation(ActivationKind::kTanh, 0, 0);
  else if (kind == "elu") fused = MakeActivation(ActivationKind::kElu, alpha, 0);
  else if (kind == "mish") fused = MakeActivation(ActivationKind::kMish, 0, 0);
  else if (kind == "gelu" && a.Text(prefix + "approximate") == "tanh") fused = MakeActivation(ActivationKind::kGeluTanh, 0, 0);
  else if (kind == "gelu") fused = MakeActivation(ActivationKind::kGelu, 0, 0);
  else if (kind == "softplus") rest = kind;
  else throw Declined("no kernel applies the activation \"" + kind + "\"");
  if (kind == "prelu") {
    const std::vector<double> slopes = a.Numbers(prefix + "slopes");
    auto padded = std::make_shared<std::vector<float>>(slopes.begin(), slopes.end());
    padded->resize(slopes.size() + kPaddedLanes, 0.0f);
    slopes_ = padded;
    fused.slopes = slopes_->data();
  }
  fused.scale = Read(a, prefix + "scale", 1);
  fused.shift = Read(a, prefix + "shift", 0);
  fused.affine = rest.empty() && (fused.scale != 1 || fused.shift != 0);
  const bool clipMovesZero = fused.kind == ActivationKind::kClip && (fused.a > 0 || fused.b < 0);
  zeroStaysZero = fused.shift == 0 && !clipMovesZero && fused.kind != ActivationKind::kSigmoid && fused.kind != ActivationKind::kHardSigmoid && rest != "softplus";
}

void Epilogue::ApplyRest(float* data, int64_t count) const {
  if (rest.empty()) return;
  for (int64_t i = 0; i < count; ++i) data[i] = data[i] > 20 ? data[i] : std::log1p(std::exp(data[i]));
  if (fused.scale == 1 && fused.shift == 0) return;
  for (int64_t i = 0; i < count; ++i) data[i] = data[i] * fused.scale + fused.shift;
}

}  // namespace xcorr
