// A row of the input is brought to the output's width once for all the output rows that it is in; neighbouring ones are made of the same few.
#include "separable.h"

#include <algorithm>
#include <numeric>

#include "epilogue.h"
#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

// The taps of a row of single numbers, by groups of 8 pixels; nothing if the inputs of a group do not lie within 8.
struct Groups {
  std::vector<int64_t> firsts;
  std::vector<int32_t> lanes;
  std::vector<float> weights;

  Groups() = default;
  Groups(const AxisTaps& taps, int64_t in, int64_t out) {
    const size_t count = static_cast<size_t>(taps.most), perGroup = count * kBlock;
    if (!taps.same || in < kBlock || out < kBlock) return;
    for (int64_t x = 0; x < out; x += kBlock) {
      const size_t tap = static_cast<size_t>(std::min(x, out - kBlock)) * count;
      const auto [least, most] = std::minmax_element(taps.places.begin() + static_cast<ptrdiff_t>(tap), taps.places.begin() + static_cast<ptrdiff_t>(tap + perGroup));
      firsts.push_back(std::min(*least, in - kBlock));
      if (*most - firsts.back() >= kBlock) {
        firsts.clear();
        return;
      }
      for (size_t i = 0; i < perGroup; ++i) {
        const size_t from = tap + i % kBlock * count + i / kBlock;
        lanes.push_back(static_cast<int32_t>(taps.places[from] - firsts.back()));
        weights.push_back(taps.weights[from]);
      }
    }
  }
};

// The rows that were widened last, as many as an output row is made of: consecutive ones.
class WideRows {
 public:
  WideRows(const KernelTable& table, SeparableColumnsArgs args, int64_t inRow, float* buffers, int64_t count)
      : table_(table), args_(args), in_(args.in), inRow_(inRow), buffers_(buffers), held_(static_cast<size_t>(count), -1) {}

  const float* Row(int64_t y) {
    const size_t slot = static_cast<size_t>(y) % held_.size();
    float* const row = buffers_ + static_cast<int64_t>(slot) * args_.pixels * args_.unit;
    if (held_[slot] != y) {
      Widen(y, row);
      held_[slot] = y;
    }
    return row;
  }
  void Widen(int64_t y, float* to) {
    args_.in = in_ + y * inRow_;
    args_.out = to;
    table_.SeparableColumns(args_);
  }

 private:
  const KernelTable& table_;
  SeparableColumnsArgs args_;
  const float* in_;
  int64_t inRow_;
  float* buffers_;
  std::vector<int64_t> held_;
};

}  // namespace

std::unique_ptr<Step> MakeSeparable(const Problem& p, const char* algorithm, const AxisTaps& rows, const AxisTaps& columns, bool maximum) {
  RequireFloat32(p);
  const TensorDesc &x = p.inputs[0], &y = p.outputs[0];
  const bool hasResidual = p.attributes.Flag("residual");
  if (x.layout != y.layout) throw Declined("input and output in different layouts");
  if (hasResidual && p.inputs[1].layout != y.layout) throw Declined("a residual in another layout");
  if (x.Elements() == 0 || y.Elements() == 0) throw Declined("an empty image");
  const bool blocked = x.layout == Layout::kBlocked;
  const size_t rank = y.shape.size();
  const int64_t unit = blocked ? kBlock : 1, inHeight = x.shape[rank - 2], inRow = x.shape[rank - 1] * unit, height = y.shape[rank - 2], width = y.shape[rank - 1];
  const int64_t planes = blocked ? y.shape[0] * Blocks(y.shape[1]) : std::accumulate(y.shape.begin(), y.shape.end() - 2, int64_t{1}, std::multiplies<int64_t>());
  const int64_t row = width * unit, perTask = std::max<int64_t>(1, kGrain / row), runs = (height + perTask - 1) / perTask;
  const Epilogue epilogue(p.attributes);
  const bool activates = epilogue.fused.kind != ActivationKind::kNone || epilogue.fused.affine, clears = blocked && !epilogue.zeroStaysZero;
  const KernelTable* table = p.kernels;
  const Groups groups = blocked || maximum ? Groups() : Groups(columns, x.shape[rank - 1], width);
  return MakeFunction(algorithm, [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    SeparableColumnsArgs wide = {};
    wide.pixels = width;
    wide.unit = unit;
    wide.taps = columns.same ? columns.most : 0;
    wide.begin = columns.begin.data();
    wide.places = columns.places.data();
    wide.weights = columns.weights.data();
    wide.maximum = maximum;
    if (!groups.firsts.empty()) {
      wide.firsts = groups.firsts.data();
      wide.lanes = groups.lanes.data();
      wide.laneWeights = groups.weights.data();
    }
    team.Run(planes * runs, [&](int64_t task, int) {
      const int64_t plane = task / runs, first = task % runs * perTask;
      SeparableColumnsArgs args = wide;
      args.in = In(inputs, 0) + plane * inHeight * inRow;
      float* buffers = ThreadScratch(static_cast<size_t>(rows.most * row));
      WideRows held(*table, args, inRow, buffers, rows.most);
      std::vector<const float*> parts(static_cast<size_t>(rows.most));
      for (int64_t oy = first; oy < std::min(height, first + perTask); ++oy) {
        const int64_t at = (plane * height + oy) * row, tap = rows.begin[static_cast<size_t>(oy)], taps = rows.begin[static_cast<size_t>(oy) + 1] - tap;
        const int64_t* const places = rows.places.data() + tap;
        float* const to = Out(outputs) + at;
        if (rows.most == 1) {
          held.Widen(places[0], to);
        } else {
          for (int64_t t = 0; t < taps; ++t) parts[static_cast<size_t>(t)] = held.Row(places[t]);
          table->SeparableRows({parts.data(), rows.weights.data() + tap, taps, to, row, maximum});
        }
        if (hasResidual) table->BinaryRun({to, In(inputs, 1) + at, to, row, Operand::kFull, Operand::kFull, BinaryKind::kAdd, epilogue.fused});
        else if (activates) table->UnaryRun({to, to, row, UnaryKind::kActivation, epilogue.fused});
        epilogue.ApplyRest(to, row);
      }
    });
    if (clears) ClearPaddingLanes(Image(y), Out(outputs));
  });
}

}  // namespace xcorr
