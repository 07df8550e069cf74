// maxPool2d and avgPool2d on blocks of 8 channels; globalAvgPool and globalMaxPool. Plain images are reordered in scratch.
#include <algorithm>
#include <cmath>

#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

struct Pool {
  explicit Pool(const Problem& p)
      : x(p.inputs[0]), y(p.outputs[0]), kernel(p.attributes.Ints("kernel")), stride(p.attributes.Ints("stride")),
        padding(p.attributes.Ints("padding")), dilation(p.attributes.Ints("dilation")), countPadding(p.attributes.Flag("countIncludePad")),
        divisorOverride(p.attributes.Int("divisorOverride", 0)), table(p.kernels) {}
  Image x, y;
  std::vector<int64_t> kernel, stride, padding, dilation;
  bool countPadding;
  int64_t divisorOverride;
  const KernelTable* table;
};

// Rows of a window that lie in the image or its padding, not beyond (ceil mode may reach further).
int64_t CountedRows(const Pool& p, int64_t y) {
  const int64_t start = y * p.stride[0] - p.padding[0], end = p.x.h + p.padding[2];
  int64_t rows = 0;
  for (int64_t k = 0; k < p.kernel[0]; ++k) rows += start + k * p.dilation[0] < end;
  return rows;
}

// Maxima over rows first, into a row with its padding around it, then over columns: for a window of k x k, 2 k comparisons instead of k^2, and no pixel at
// the sides that is done apart. Up to 3 x 3 the row in between costs as much as it saves.
class RowOfMaxima {
 public:
  RowOfMaxima(const Pool& p, const WindowRowArgs& args)
      : table_(*p.table), width_(p.x.w), total_(std::max((args.pixels - 1) * args.stride + (args.columns - 1) * args.dilation + 1, args.columnEnd)) {
    if (args.columns <= 3 || args.stride > 1) return;
    row_ = ThreadScratch(static_cast<size_t>(total_ * kBlock));
    std::fill(row_, row_ + total_ * kBlock, -INFINITY);
  }

  void Run(const WindowRowArgs& args) const {
    if (!row_) {
      table_.MaxPoolRow(args);
      return;
    }
    WindowRowArgs rows = {}, columns = args;
    rows.in = args.in + args.columnBegin * kBlock;
    rows.inRow = args.inRow;
    rows.stride = rows.dilation = 1;
    rows.rows = args.rows;
    rows.columns = 1;
    rows.columnEnd = rows.pixels = width_;
    rows.out = row_ + args.columnBegin * kBlock;
    table_.MaxPoolRow(rows);
    columns.in = row_;
    columns.rows = 1;
    columns.columnBegin = 0;
    columns.columnEnd = total_;
    table_.MaxPoolRow(columns);
  }

 private:
  const KernelTable& table_;
  int64_t width_, total_;
  float* row_ = nullptr;
};

// Output rows begin .. end - 1 of one block.
void RunRows(const Pool& p, bool average, const float* in, float* out, int64_t begin, int64_t end) {
  WindowRowArgs args = {};
  args.inRow = p.dilation[0] * p.x.w * kBlock;
  args.stride = p.stride[1];
  args.dilation = p.dilation[1];
  args.columns = static_cast<int>(p.kernel[1]);
  args.columnBegin = p.padding[1];
  args.columnEnd = p.padding[1] + p.x.w;
  args.paddedEnd = args.columnEnd + p.padding[3];
  args.pixels = p.y.w;
  const RowOfMaxima maxima(p, args);
  for (int64_t y = begin; y < end; ++y) {
    const int64_t top = y * p.stride[0] - p.padding[0];
    int64_t first = 0, last = p.kernel[0];
    while (first < last && top + first * p.dilation[0] < 0) ++first;
    while (last > first && top + (last - 1) * p.dilation[0] >= p.x.h) --last;
    args.rows = static_cast<int>(last - first);
    args.in = in + ((top + first * p.dilation[0]) * p.x.w - p.padding[1]) * kBlock;
    args.out = out + y * p.y.w * kBlock;
    if (average) {
      args.divisor = static_cast<float>(p.divisorOverride);
      args.countedRows = p.countPadding ? static_cast<int>(CountedRows(p, y)) : 0;
      p.table->AvgPoolRow(args);
    } else {
      maxima.Run(args);
    }
  }
}

std::unique_ptr<Step> MakePool(const Problem& problem, bool average) {
  RequireFloat32(problem);
  const Pool p(problem);
  const size_t in = p.x.blocked ? 0 : static_cast<size_t>(p.x.blockedFloats());
  const size_t out = p.y.blocked ? 0 : static_cast<size_t>(p.y.blockedFloats());
  auto run = [p, average, in](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float* work = static_cast<float*>(scratch);
    const float* x = In(inputs, 0);
    if (!p.x.blocked) {
      PlainToBlocked(*p.table, team, p.x, x, work);
      x = work;
    }
    float* y = p.y.blocked ? Out(outputs) : work + in;
    // Run by run: a thread reads the rows that it most likely wrote.
    const int64_t planes = p.x.n * p.x.blocks, runs = std::max<int64_t>(1, std::min(p.y.h / 4, p.x.plane() * kBlock / kGrain));
    team.Run(runs * planes, [&](int64_t task, int) {
      const int64_t plane = task % planes, run = task / planes;
      RunRows(p, average, x + plane * p.x.plane() * kBlock, y + plane * p.y.plane() * kBlock, p.y.h * run / runs, p.y.h * (run + 1) / runs);
    });
    // The lanes past the last channel hold -infinity or 0 / 0 now.
    ClearPaddingLanes(p.y, y);
    if (!p.y.blocked) BlockedToPlain(*p.table, team, p.y, y, Out(outputs));
  };
  return MakeFunction(average ? "average rows" : "maximum rows", run, (in + out) * sizeof(float));
}

// Sums over the pixels of a plane: of a block's 8 lanes, or of one plain channel.
void PlaneSums(const KernelTable& table, const float* x, int64_t pixels, bool blocked, double* sums) {
  if (blocked) {
    table.SumPixels({x, sums, pixels});
    return;
  }
  double lanes[kBlock];
  table.SumPixels({x, lanes, pixels / kBlock});
  sums[0] = 0;
  for (double lane : lanes) sums[0] += lane;
  for (int64_t i = pixels / kBlock * kBlock; i < pixels; ++i) sums[0] += static_cast<double>(x[i]);
}

template <int64_t kLanes>
void PlaneMaxima(const float* x, int64_t pixels, float* best) {
  std::fill(best, best + kLanes, -INFINITY);
  for (int64_t p = 0; p < pixels; ++p, x += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) best[l] = x[l] > best[l] || std::isnan(x[l]) ? x[l] : best[l];
  }
}

// One number per channel: 8 channels at a time when blocked.
std::unique_ptr<Step> MakeGlobalPool(const Problem& problem, bool average) {
  RequireFloat32(problem);
  const TensorDesc& x = problem.inputs[0];
  if (x.layout != problem.outputs[0].layout) throw Declined("input and output in different layouts");
  const bool blocked = x.layout == Layout::kBlocked;
  int64_t pixels = 1;
  for (size_t a = 2; a < x.shape.size(); ++a) pixels *= x.shape[a];
  const int64_t planes = blocked ? x.shape[0] * Blocks(x.shape[1]) : x.shape[0] * x.shape[1], lanes = blocked ? kBlock : 1;
  const int64_t perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, pixels * lanes)), tasks = (planes + perTask - 1) / perTask;
  const KernelTable* table = problem.kernels;
  // Sums of so few numbers may be in float.
  const bool small = average && !blocked && pixels <= 256;
  return MakeFunction("planes", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    team.Run(tasks, [&](int64_t task, int) {
      if (small) {
        const int64_t first = task * perTask;
        table->SumPlanes({In(inputs, 0) + first * pixels, Out(outputs) + first, std::min(perTask, planes - first), pixels, 1 / static_cast<float>(pixels)});
        return;
      }
      for (int64_t p = task * perTask; p < std::min(planes, (task + 1) * perTask); ++p) {
        const float* in = In(inputs, 0) + p * pixels * lanes;
        float* out = Out(outputs) + p * lanes;
        if (average) {
          double sums[kBlock];
          PlaneSums(*table, in, pixels, blocked, sums);
          for (int64_t l = 0; l < lanes; ++l) out[l] = static_cast<float>(sums[l] / static_cast<double>(pixels));
        } else if (blocked) {
          PlaneMaxima<kBlock>(in, pixels, out);
        } else {
          PlaneMaxima<1>(in, pixels, out);
        }
      }
    });
  });
}

}  // namespace

std::unique_ptr<Step> Make_maxPool2d(const Problem& p) {
  if (p.attributes.Text("indices") != "none") throw Declined("indices");
  return MakePool(p, false);
}
std::unique_ptr<Step> Make_avgPool2d(const Problem& p) { return MakePool(p, true); }
std::unique_ptr<Step> Make_globalAvgPool(const Problem& p) { return MakeGlobalPool(p, true); }
std::unique_ptr<Step> Make_globalMaxPool(const Problem& p) { return MakeGlobalPool(p, false); }

}  // namespace xcorr
