// reduceMean and reduceSum over the last axes of a plain tensor (global pools written as reductions among them).
#include "functionStep.h"

namespace xcorr {
namespace {

std::unique_ptr<Step> MakeReduce(const Problem& p, bool mean) {
  RequireFloat32(p);
  RequirePlain(p);
  const TensorDesc& x = p.inputs[0];
  const std::vector<int64_t> axes = p.attributes.Ints("axes");
  for (size_t k = 0; k < axes.size(); ++k) {
    if (axes[k] != static_cast<int64_t>(x.shape.size() - axes.size() + k)) throw Declined("axes that are not the last ones");
  }
  const int64_t rows = p.outputs[0].Elements();
  const int64_t count = rows ? x.Elements() / rows : 0;
  if (count == 0) throw Declined("an empty set");
  return MakeFunction("rows", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(rows, [&](int64_t row, int) {
      double sum = 0;
      for (int64_t i = 0; i < count; ++i) sum += In(inputs, 0)[row * count + i];
      Out(outputs)[row] = static_cast<float>(mean ? sum / static_cast<double>(count) : sum);
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_reduceMean(const Problem& p) { return MakeReduce(p, true); }
std::unique_ptr<Step> Make_reduceSum(const Problem& p) { return MakeReduce(p, false); }

}  // namespace xcorr
