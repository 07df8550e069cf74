// The output channels of a convolution of plain images, in panels: as many as a tile makes (kernels/planesTile.h, planesProduct.h). The packed data of a panel
// are its biases, then for each tap a weight per output.
#pragma once
#include "conv2d.h"

namespace xcorr {

class PlanePanels {
 public:
  explicit PlanePanels(const Conv& conv)
      : perGroup_((conv.outPerGroup + conv.table.planeOuts - 1) / conv.table.planeOuts), outPerGroup_(conv.outPerGroup), groups_(conv.groups),
        taps_(conv.inPerGroup * conv.kh * conv.kw) {}

  int64_t perGroup() const { return perGroup_; }
  int64_t taps() const { return taps_; }
  int64_t floats() const { return groups_ * outPerGroup_ * (1 + taps_); }
  Range Outs(int64_t group, int64_t panel) const {
    const Range outs = Share(outPerGroup_, perGroup_, panel);
    return {group * outPerGroup_ + outs.begin, group * outPerGroup_ + outs.end};
  }

  // Bias is null if there is none.
  void Pack(const float* weight, const float* bias, float* to) const {
    for (int64_t g = 0; g < groups_; ++g) {
      for (int64_t p = 0; p < perGroup_; ++p) {
        const Range outs = Outs(g, p);
        for (int64_t o = outs.begin; o < outs.end; ++o) *to++ = bias ? bias[o] : 0.0f;
        for (int64_t t = 0; t < taps_; ++t) {
          for (int64_t o = outs.begin; o < outs.end; ++o) *to++ = weight[o * taps_ + t];
        }
      }
    }
  }

  // Gives a kernel a panel's data.
  template <typename Args>
  void SetPanel(Args* args, Range outs, const float* packed) const {
    args->outs = static_cast<int>(outs.size());
    args->bias = packed + outs.begin * (1 + taps_);
    args->weights = args->bias + outs.size();
  }

 private:
  int64_t perGroup_, outPerGroup_, groups_, taps_;
};

}  // namespace xcorr
