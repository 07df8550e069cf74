// pow and mod of float32, with operands that broadcast; images in blocks may meet others of the same shape, or single numbers.
#include <cmath>
#include <limits>

#include "layout.h"
#include "runs.h"

namespace xcorr {
namespace {

// As in JavaScript: 1 or -1 to an exponent that is not finite is not a number, for C it is 1.
float Power(float base, float exponent) {
  if (std::fabs(base) == 1 && !std::isfinite(exponent)) return std::numeric_limits<float>::quiet_NaN();
  return std::pow(base, exponent);
}

// One exponent for all: the usual ones are no powers.
void PowersBy(float exponent, const float* base, float* y, int64_t count) {
  const auto each = [&](const auto& f) {
    for (int64_t i = 0; i < count; ++i) y[i] = f(base[i]);
  };
  if (exponent == 2) each([](float x) { return x * x; });
  else if (exponent == 1) each([](float x) { return x; });
  else if (exponent == -1) each([](float x) { return 1 / x; });
  // In double, as a product of three floats may be smaller than a float before it is larger.
  else if (exponent == 3) each([](float x) { return static_cast<float>(static_cast<double>(x) * x * x); });
  // Unlike the root, the power of -0 is 0, and that of -infinity is infinity.
  else if (exponent == 0.5f) each([](float x) { return x < -std::numeric_limits<float>::max() ? -x : std::sqrt(x) + 0.0f; });
  else each([=](float x) { return Power(x, exponent); });
}

// Calls run(a, step of a, b, step of b, y, count) for runs of the result.
template <typename F>
std::unique_ptr<Step> MakePairs(const Problem& p, const F& run) {
  RequireFloat32(p);
  const TensorDesc y = p.outputs[0];
  const bool blocked = y.layout == Layout::kBlocked;
  std::vector<int64_t> shape = y.shape;
  std::vector<std::vector<int64_t>> operands;
  if (blocked) shape = {y.StoredElements()};
  for (const TensorDesc& t : p.inputs) {
    const bool single = t.Elements() == 1, alike = t.shape == y.shape && t.layout == y.layout;
    if (!single && !alike && (blocked || t.layout == Layout::kBlocked)) throw Declined("a broadcast that the blocked layout does not have");
    operands.push_back(single ? std::vector<int64_t>() : blocked ? shape : t.shape);
  }
  const Runs runs(shape, operands);
  return MakeFunction("runs", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    runs.Each(team, [&](int64_t at, const Runs::Places& from, int64_t count) {
      run(In(inputs, 0) + from[0], runs.steps()[0], In(inputs, 1) + from[1], runs.steps()[1], Out(outputs) + at, count);
    });
    if (blocked) ClearPaddingLanes(Image(y), Out(outputs));
  });
}

}  // namespace

std::unique_ptr<Step> Make_pow(const Problem& p) {
  return MakePairs(p, [](const float* a, int64_t stepA, const float* b, int64_t stepB, float* y, int64_t count) {
    if (stepA && !stepB) PowersBy(*b, a, y, count);
    else ForPairs(a, stepA, b, stepB, y, count, Power);
  });
}

std::unique_ptr<Step> Make_mod(const Problem& p) {
  const bool truncates = p.attributes.Flag("fmod");
  return MakePairs(p, [=](const float* a, int64_t stepA, const float* b, int64_t stepB, float* y, int64_t count) {
    if (truncates) ForPairs(a, stepA, b, stepB, y, count, [](float x, float d) { return std::fmod(x, d); });
    else ForPairs(a, stepA, b, stepB, y, count, [](double x, double d) { return static_cast<float>(x - d * std::floor(x / d)); });
  });
}

}  // namespace xcorr
