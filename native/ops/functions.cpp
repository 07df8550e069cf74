// Functions of one number that no vector kernel computes: one number at a time, by the team. On images of either layout.
#include <cmath>

#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

template <typename F>
std::unique_ptr<Step> MakeEach(const Problem& p, const F& f) {
  RequireFloat32(p);
  const TensorDesc y = p.outputs[0];
  if (p.inputs[0].layout != y.layout) throw Declined("input and output in different layouts");
  const bool clears = y.layout == Layout::kBlocked && !(f(0.0f) == 0.0f);
  const int64_t count = y.StoredElements();
  return MakeFunction("numbers", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    const float* in = In(inputs, 0);
    float* out = Out(outputs);
    InPieces(team, count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = f(in[i]);
    });
    if (clears) ClearPaddingLanes(Image(y), out);
  });
}

// Bytes to bytes, or floats to bytes.
template <typename T, typename F>
std::unique_ptr<Step> MakePredicate(const Problem& p, const F& f) {
  RequirePlain(p);
  const int64_t count = p.outputs[0].Elements();
  return MakeFunction("numbers", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    InPieces(team, count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) static_cast<uint8_t*>(outputs[0])[i] = f(static_cast<const T*>(inputs[0])[i]);
    });
  });
}

}  // namespace

#define XCORR_FUNCTION(op, value) \
  std::unique_ptr<Step> Make_##op(const Problem& p) { return MakeEach(p, [](float x) -> float { return value; }); }
XCORR_FUNCTION(floor, std::floor(x))
XCORR_FUNCTION(ceil, std::ceil(x))
// To the nearest, halves to the even one: so the processor rounds.
XCORR_FUNCTION(round, std::nearbyint(x))
XCORR_FUNCTION(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x)
XCORR_FUNCTION(log, std::log(x))
XCORR_FUNCTION(sin, std::sin(x))
XCORR_FUNCTION(cos, std::cos(x))
XCORR_FUNCTION(tan, std::tan(x))
XCORR_FUNCTION(asin, std::asin(x))
XCORR_FUNCTION(acos, std::acos(x))
XCORR_FUNCTION(atan, std::atan(x))
XCORR_FUNCTION(sinh, std::sinh(x))
XCORR_FUNCTION(cosh, std::cosh(x))
XCORR_FUNCTION(asinh, std::asinh(x))
XCORR_FUNCTION(acosh, std::acosh(x))
XCORR_FUNCTION(atanh, std::atanh(x))
XCORR_FUNCTION(softsign, x / (1 + std::fabs(x)))
#undef XCORR_FUNCTION

std::unique_ptr<Step> Make_selu(const Problem& p) {
  const float alpha = static_cast<float>(p.attributes.Number("alpha", 1)), gamma = static_cast<float>(p.attributes.Number("gamma", 1));
  return MakeEach(p, [=](float x) { return gamma * (x < 0 ? alpha * std::expm1(x) : x); });
}

std::unique_ptr<Step> Make_celu(const Problem& p) {
  const float alpha = static_cast<float>(p.attributes.Number("alpha", 1));
  return MakeEach(p, [=](float x) { return x < 0 ? alpha * std::expm1(x / alpha) : x; });
}

// Limits are compared in double: a float that was rounded to one of them is on a side of it.
std::unique_ptr<Step> Make_thresholdedRelu(const Problem& p) {
  const double alpha = p.attributes.Number("alpha", 1);
  return MakeEach(p, [=](float x) { return x <= alpha ? 0.0f : x; });
}

std::unique_ptr<Step> Make_shrink(const Problem& p) {
  const double bias = p.attributes.Number("bias", 0), lambda = p.attributes.Number("lambda", 0.5);
  return MakeEach(p, [=](float x) { return x < -lambda ? static_cast<float>(x + bias) : x > lambda ? static_cast<float>(x - bias) : x != x ? x : 0.0f; });
}

std::unique_ptr<Step> Make_isNaN(const Problem& p) {
  RequireFloat32(p);
  return MakePredicate<float>(p, [](float x) { return x != x; });
}
std::unique_ptr<Step> Make_isInf(const Problem& p) {
  RequireFloat32(p);
  return MakePredicate<float>(p, [](float x) { return std::isinf(x); });
}
std::unique_ptr<Step> Make_not(const Problem& p) {
  return MakePredicate<uint8_t>(p, [](uint8_t x) { return x == 0; });
}

}  // namespace xcorr
