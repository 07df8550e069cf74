// conv2d of plain images without blocks, lanes along the pixels (kernels/planesTile.h, planesRows.h): filters of grey or RGB pictures, stems, small groups.
//
// A task is a run of rows. With one output channel and a stride of 1 it reads them where they are, but for the edges of the image; else it copies what it
// reads, with its padding, to where that stays in the nearest caches. With a stride, columns of a copied row lie by phases, so that what neighbouring outputs
// read is in a row: of stride 2 all even columns, then all odd ones.
#include <algorithm>
#include <cstring>

#include "convCost.h"
#include "planePanels.h"

namespace xcorr {
namespace {

class Planes : public ConvStep {
 public:
  explicit Planes(const Conv& conv) : ConvStep(conv, true, Copy::kNone, true), panels_(conv) {
    const int64_t lanes = conv_.table.lanes;
    vecsPerRow_ = (out_.w + lanes - 1) / lanes;
    // A row narrower than a vector is computed beyond its end.
    phaseFloats_ = std::max(out_.w, lanes) + (conv_.kw - 1) * conv_.dilation[1] / conv_.stride[1];
    rowFloats_ = phaseFloats_ * conv_.stride[1];
    const int64_t fits = (kCopyBytes / 4 / (rowFloats_ * conv_.inPerGroup) - reach()) / conv_.stride[0];
    const int64_t wanted = (out_.h * conv_.groups + conv_.wantedTasks - 1) / conv_.wantedTasks;
    rows_ = std::clamp<int64_t>(std::min(fits, wanted), 1, out_.h);
    // Without padding, and with all of the image in the first cache, there is nothing to gain from a copy.
    inPlace_ = !conv_.padding.any() && !narrow() && conv_.stride[1] == 1 && in_.c * in_.plane() * 4 <= kNearBytes;
    if (inPlace_) rowFloats_ = in_.w;
    copiedRows_ = inPlace_ ? in_.h : RowsRead(rows_);
    for (int64_t c = 0; c < conv_.inPerGroup; ++c) {
      for (int64_t i = 0; i < conv_.kh; ++i) {
        for (int64_t j = 0; j < conv_.kw; ++j) {
          const int64_t column = j * conv_.dilation[1], phase = column % conv_.stride[1];
          taps_.push_back((c * copiedRows_ + i * conv_.dilation[0]) * rowFloats_ + phase * phaseFloats_ + column / conv_.stride[1]);
        }
      }
    }
    for (int64_t y = 0; y < rows_; ++y) {
      for (int64_t v = 0; v < vecsPerRow_; ++v) {
        // The last vector of a row overlaps the one before.
        const int64_t x = std::max<int64_t>(0, std::min(v * lanes, out_.w - lanes));
        inAt_.push_back(y * conv_.stride[0] * rowFloats_ + x);
        outAt_.push_back(narrow() ? y * lanes : y * out_.w + x);
      }
    }
  }

 protected:
  int64_t packedFloats() const override { return panels_.floats(); }
  void Pack(const float* weight, const float* bias, float* to) const override { panels_.Pack(weight, bias, to); }

  void RunImage(Team& team, const float* packed, const float* in, const float*, float* out, float*) const override {
    const int64_t runs = (out_.h + rows_ - 1) / rows_;
    team.Run(conv_.groups * runs, [&](int64_t task, int) {
      const int64_t group = task / runs, first = task % runs * rows_, rows = std::min(rows_, out_.h - first);
      if (inPlace_) {
        RunPanels(group, first, rows, packed, in + group * conv_.inPerGroup * in_.plane() + first * conv_.stride[0] * in_.w, out);
        return;
      }
      float* copy = ThreadScratch(static_cast<size_t>(copyFloats() + (narrow() ? conv_.table.planeOuts * rows_ * conv_.table.lanes : 0)));
      for (int64_t c = 0; c < conv_.inPerGroup; ++c) {
        const float* plane = in + (group * conv_.inPerGroup + c) * in_.plane();
        CopyPhases(plane, first * conv_.stride[0] - conv_.padding.top, RowsRead(rows), copy + c * copiedRows_ * rowFloats_);
      }
      RunPanels(group, first, rows, packed, copy, out);
    });
  }

 private:
  bool narrow() const { return out_.w < conv_.table.lanes; }
  int64_t reach() const { return (conv_.kh - 1) * conv_.dilation[0]; }
  int64_t RowsRead(int64_t rows) const { return (rows - 1) * conv_.stride[0] + reach() + 1; }
  int64_t copyFloats() const { return conv_.inPerGroup * copiedRows_ * rowFloats_; }

  // Rows first .. first + rows - 1 of a plane, of which some may lie outside: each by its phases, with zeros around.
  void CopyPhases(const float* plane, int64_t first, int64_t rows, float* out) const {
    const int64_t step = conv_.stride[1], left = conv_.padding.left;
    if (step == 1) return CopyRows(plane, in_.h, in_.w, first, rows, left, rowFloats_, out);
    // Column phase + i * step - left of the image is the i-th of a phase. From begin to end all phases are inside of it.
    const int64_t begin = std::min((left + step - 1) / step, phaseFloats_), end = std::clamp((in_.w + left) / step, begin, phaseFloats_);
    for (int64_t y = first; y < first + rows; ++y, out += rowFloats_) {
      if (y < 0 || y >= in_.h) {
        std::fill_n(out, rowFloats_, 0.0f);
        continue;
      }
      const float* row = plane + y * in_.w;
      const auto take = [&](int64_t from, int64_t to) {
        for (int64_t phase = 0; phase < step; ++phase) {
          for (int64_t i = from; i < to; ++i) {
            const int64_t x = phase + i * step - left;
            out[phase * phaseFloats_ + i] = x >= 0 && x < in_.w ? row[x] : 0.0f;
          }
        }
      };
      take(0, begin);
      conv_.table.TakePhases({row + begin * step - left, step, end - begin, out + begin, phaseFloats_});
      take(end, phaseFloats_);
    }
  }

  void RunPanels(int64_t group, int64_t first, int64_t rows, const float* packed, const float* in, float* out) const {
    for (int64_t p = 0; p < panels_.perGroup(); ++p) RunPanel(panels_.Outs(group, p), first, rows, packed, in, out);
  }

  void RunPanel(Range outs, int64_t first, int64_t rows, const float* packed, const float* copy, float* out) const {
    const int64_t place = outs.begin * out_.plane() + first * out_.w, lanes = conv_.table.lanes;
    float* apart = const_cast<float*>(copy) + copyFloats();
    PlanesTileArgs args = {};
    args.in = copy;
    args.taps = taps_.data();
    args.tapCount = static_cast<int64_t>(taps_.size());
    panels_.SetPanel(&args, outs, packed);
    args.out = narrow() ? apart : out + place;
    args.outPlane = narrow() ? rows_ * lanes : out_.plane();
    args.activation = conv_.epilogue.fused.From(outs.begin);
    const int64_t vecs = rows * vecsPerRow_, most = conv_.table.PlaneVecs(args.outs);
    ForTiles(vecs, (vecs + most - 1) / most, [&](int64_t first, int64_t tileVecs, int64_t tiles) {
      args.vecs = static_cast<int>(tileVecs);
      args.inAt = inAt_.data() + first;
      args.outAt = outAt_.data() + first;
      args.more = tiles - 1;
      conv_.table.PlanesTile(args);
    });
    if (!narrow()) return;
    for (int64_t o = 0; o < outs.size(); ++o) {
      for (int64_t y = 0; y < rows; ++y) {
        std::memcpy(out + place + o * out_.plane() + y * out_.w, apart + (o * rows_ + y) * lanes, static_cast<size_t>(out_.w) * sizeof(float));
      }
    }
  }

  // A task copies kh - 1 rows more than it makes. They stay in a second cache of 256 KB or more.
  static constexpr int64_t kCopyBytes = 224 << 10, kNearBytes = 32 << 10;

  PlanePanels panels_;
  int64_t vecsPerRow_, phaseFloats_, rowFloats_, rows_, copiedRows_;
  bool inPlace_;
  std::vector<ptrdiff_t> taps_, inAt_, outAt_;
};

// One output channel (kernels/planesRows.h). A task goes through its rows tile by tile; only tiles that read beyond an edge of the image are copied,
// with zeros around them.
class PlaneRows : public ConvStep {
 public:
  explicit PlaneRows(const Conv& conv) : ConvStep(conv, true, Copy::kNone, true) {
    const int64_t lanes = conv_.table.lanes, most = conv_.table.PlaneRowVecs(conv_.kh), vecs = (out_.w + lanes - 1) / lanes;
    // If the last vector hangs over the end, the last tile is moved back over the one before it: there have to be two.
    const int64_t tiles = std::max<int64_t>((vecs + most - 1) / most, out_.w % lanes ? 2 : 1);
    for (int64_t t = 0; t < tiles; ++t) {
      const Range some = Share(vecs, tiles, t);
      tiles_.push_back({std::min(some.begin * lanes, out_.w - some.size() * lanes), some.size()});
    }
    rows_ = std::min<int64_t>(out_.h, conv_.kh <= kLowKernel ? 8 : 12);
    copiedRow_ = most * lanes + reach();
    copiedPlane_ = (rows_ + conv_.kh - 1) * copiedRow_;
    for (int64_t c = 0; c < conv_.inPerGroup; ++c) {
      for (int64_t j = 0; j < conv_.kw; ++j) {
        taps_.push_back(c * in_.plane() + j * conv_.dilation[1]);
        copiedTaps_.push_back(c * copiedPlane_ + j * conv_.dilation[1]);
      }
    }
  }

  static bool Takes(const Conv& c) { return c.y.c == 1 && c.kh > 1 && c.dilation[0] == 1 && c.stride[0] * c.stride[1] == 1 && c.y.w >= c.table.lanes; }

 protected:
  int64_t packedFloats() const override { return 1 + conv_.kh * conv_.kw * conv_.inPerGroup; }

  void Pack(const float* weight, const float* bias, float* to) const override {
    *to++ = bias ? bias[0] : 0.0f;
    for (int64_t i = 0; i < conv_.kh; ++i) {
      for (int64_t c = 0; c < conv_.inPerGroup; ++c) {
        for (int64_t j = 0; j < conv_.kw; ++j) *to++ = conv_.Weight(weight, 0, c, i, j);
      }
    }
  }

  void RunImage(Team& team, const float* packed, const float* in, const float*, float* out, float*) const override {
    team.Run((out_.h + rows_ - 1) / rows_, [&](int64_t task, int) {
      const int64_t y = task * rows_, top = y - conv_.padding.top;
      PlanesRowsArgs args = {};
      args.tapCount = static_cast<int64_t>(taps_.size());
      args.kernelRows = conv_.kh;
      args.bias = packed[0];
      args.weights = packed + 1;
      args.outRow = out_.w;
      args.rows = std::min(rows_, out_.h - y);
      args.activation = conv_.epilogue.fused.Of(0);
      const int64_t read = args.rows + conv_.kh - 1;
      for (const Tile& tile : tiles_) {
        const int64_t left = tile.x - conv_.padding.left, columns = tile.vecs * conv_.table.lanes + reach();
        const bool inside = top >= 0 && top + read <= in_.h && left >= 0 && left + columns <= in_.w;
        args.in = inside ? in + top * in_.w + left : CopyTile(in, top, read, left);
        args.inRow = inside ? in_.w : copiedRow_;
        args.taps = inside ? taps_.data() : copiedTaps_.data();
        args.out = out + y * out_.w + tile.x;
        args.vecs = static_cast<int>(tile.vecs);
        conv_.table.PlanesRows(args);
      }
    });
  }

 private:
  struct Tile {
    int64_t x, vecs;
  };

  int64_t reach() const { return (conv_.kw - 1) * conv_.dilation[1]; }

  const float* CopyTile(const float* in, int64_t top, int64_t rows, int64_t left) const {
    float* copy = ThreadScratch(static_cast<size_t>(conv_.inPerGroup * copiedPlane_));
    for (int64_t c = 0; c < conv_.inPerGroup; ++c) CopyRows(in + c * in_.plane(), in_.h, in_.w, top, rows, -left, copiedRow_, copy + c * copiedPlane_);
    return copy;
  }

  // Up to so many rows a kernel reads each row of its task once, and then few streams are fastest.
  static constexpr int64_t kLowKernel = 4;

  int64_t rows_, copiedRow_, copiedPlane_;
  std::vector<Tile> tiles_;
  std::vector<ptrdiff_t> taps_, copiedTaps_;
};

}  // namespace

Reason AcceptsPlanes(const Conv& c) {
  if (c.x.blocked || c.y.blocked) return "images in blocks";
  if (c.hasResidual) return "a residual";
  return c.inPerGroup <= 12 ? "" : "more than 12 input channels of a group";
}

double CostPlanes(const Conv& c) {
  const int64_t vecs = (c.y.w + c.table.lanes - 1) / c.table.lanes * c.y.h;
  const double perProduct = c.outPerGroup < 4 ? 1.6 : 1.25;
  return perProduct * static_cast<double>(vecs * c.y.c * c.inPerGroup * c.kh * c.kw) + StreamCost(c.table, static_cast<double>(c.x.c * c.x.plane()));
}

std::unique_ptr<ConvStep> MakePlanes(const Conv& conv) {
  if (PlaneRows::Takes(conv)) return std::make_unique<PlaneRows>(conv);
  return std::make_unique<Planes>(conv);
}

}  // namespace xcorr
