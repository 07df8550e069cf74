// conv2d of plain images by a kernel of 1x1: a product of matrices, lanes along the pixels (kernels/planesProduct.h), and nothing is reordered.
//
// The pixels are cut into tiles, as many as the kernel takes at a time. The first panel of output channels reads them from the image and leaves a copy
// in which each tile lies in a row, for the other panels; meanwhile these ask for what comes next. Where the weights stay in the second cache, one tile
// after another takes all of them; where not, all tiles whose copies fit it, a group. With many groups a task is a run of them; with few, threads share
// each: first the tiles for the first panel, then the other panels.
#include <algorithm>

#include "convCost.h"
#include "planePanels.h"

namespace xcorr {
namespace {

class PointwisePlanes : public ConvStep {
 public:
  explicit PointwisePlanes(const Conv& conv) : ConvStep(conv, true, Copy::kNone, true), outs_(conv), panels_(outs_.perGroup()) {
    tileVecs_ = std::min<int64_t>(conv_.table.PlaneVecs(static_cast<int>((out_.c + panels_ - 1) / panels_)), out_.plane() / conv_.table.lanes);
    tiles_ = (out_.plane() + tilePixels() - 1) / tilePixels();
    const int64_t near = NearFloats();
    groupTiles_ = std::max<int64_t>(1, (packedFloats() <= near ? kNearestFloats : near) / tileStep());
    const int64_t groups = (tiles_ + groupTiles_ - 1) / groupTiles_;
    shared_ = groups < kLeastTasks;
    tasks_ = shared_ ? groups : std::min<int64_t>(groups, conv_.wantedTasks);
    tasks_ = std::min(tasks_, Parts(tiles_));
    if (shared_) groupTiles_ = (tiles_ + tasks_ - 1) / tasks_;
  }

 protected:
  int64_t packedFloats() const override { return outs_.floats(); }
  int64_t workFloats() const override { return shared_ ? groupFloats() : 0; }

  void Pack(const float* weight, const float* bias, float* to) const override { outs_.Pack(weight, bias, to); }

  void RunImage(Team& team, const float* packed, const float* in, const float*, float* out, float* work) const override {
    if (shared_) {
      for (int64_t group = 0; group < tasks_; ++group) RunShared(team, Share(tiles_, tasks_, group), packed, in, work, out);
      return;
    }
    team.Run(tasks_, [&](int64_t task, int) {
      float* copies = ThreadScratch(static_cast<size_t>(groupFloats()));
      const Range tiles = Share(tiles_, tasks_, task);
      for (int64_t t = tiles.begin; t < tiles.end; t += groupTiles_) {
        const Range group = {t, std::min(t + groupTiles_, tiles.end)};
        const int64_t next = std::min(group.size(), tiles.end - group.end);
        RunFirstPanel(group, packed, in, copies, out);
        for (int64_t p = 1; p < panels_; ++p) RunPanel(p, group, packed, copies, in, next, out);
      }
    });
  }

 private:
  // Of copies that leave room in the first cache.
  static constexpr int64_t kNearestFloats = (20 << 10) / sizeof(float);
  // Channels by which a tile is asked for ahead.
  static constexpr int64_t kAhead = 16;

  void RunShared(Team& team, Range tiles, const float* packed, const float* in, float* copies, float* out) const {
    const int64_t parts = std::min<int64_t>(Parts(tiles.size()), kLeastTasks);
    team.Run(parts, [&](int64_t part, int) {
      const Range some = Share(tiles.size(), parts, part);
      RunFirstPanel({tiles.begin + some.begin, tiles.begin + some.end}, packed, in, copies + some.begin * tileStep(), out);
    });
    team.Run(panels_ - 1, [&](int64_t p, int) { RunPanel(p + 1, tiles, packed, copies, in, 0, out); });
  }

  // The image's last tile may overlap the one before: both belong to one part.
  static int64_t Parts(int64_t tiles) { return std::max<int64_t>(1, tiles / 2); }
  int64_t tilePixels() const { return tileVecs_ * conv_.table.lanes; }
  // Not a multiple of 4096 bytes: the tiles would share cache sets.
  int64_t tileStep() const { return in_.c * tilePixels() + 16; }
  int64_t groupFloats() const { return groupTiles_ * tileStep(); }

  // The pixels of a tile: whole vectors.
  struct Place {
    int64_t first, vecs;
  };
  Place PlaceOf(int64_t tile) const {
    const int64_t lanes = conv_.table.lanes, first = tile * tilePixels(), left = out_.plane() - first;
    const int64_t vecs = left >= tilePixels() ? tileVecs_ : (left + lanes - 1) / lanes;
    return {std::min(first, out_.plane() - vecs * lanes), vecs};
  }

  PlanesProductArgs ArgsOf(int64_t panel, const float* packed) const {
    PlanesProductArgs args = {};
    const Range outs = outs_.Outs(0, panel);
    outs_.SetPanel(&args, outs, packed);
    args.channels = in_.c;
    args.outPlane = out_.plane();
    args.nextStep = in_.plane();
    args.activation = conv_.epilogue.fused.From(outs.begin);
    return args;
  }

  // Calls run(first, tiles, place): tiles of the range, counted from its first, that are alike, and the place of the first; `some` of them apart.
  template <typename F>
  void ForAlike(Range tiles, int64_t some, const F& run) const {
    // Only the image's last may be smaller, or moved back.
    const int64_t whole = std::min(tiles.end, out_.plane() / tilePixels()) - tiles.begin, asking = std::min(some, whole);
    if (asking > 0) run(int64_t{0}, asking, PlaceOf(tiles.begin));
    if (whole > asking) run(asking, whole - asking, PlaceOf(tiles.begin + asking));
    if (whole < tiles.size()) run(whole, int64_t{1}, PlaceOf(tiles.begin + whole));
  }

  void RunFirstPanel(Range tiles, const float* packed, const float* in, float* copies, float* out) const {
    PlanesProductArgs args = ArgsOf(0, packed);
    args.inStep = in_.plane();
    args.inAhead = std::min<int64_t>(in_.c, kAhead);
    args.inTile = tilePixels();
    args.copyTile = tileStep();
    ForAlike(tiles, 0, [&](int64_t first, int64_t count, Place place) {
      args.vecs = static_cast<int>(place.vecs);
      args.in = in + place.first;
      args.copy = panels_ > 1 ? copies + first * tileStep() : nullptr;
      args.out = out + place.first;
      args.more = count - 1;
      conv_.table.PlanesProduct(args);
    });
  }

  // The first `next` tiles behind these are asked for, each panel a part of their channels.
  void RunPanel(int64_t panel, Range tiles, const float* packed, const float* copies, const float* in, int64_t next, float* out) const {
    const Range asked = Share(in_.c, panels_ - 1, panel - 1);
    PlanesProductArgs args = ArgsOf(panel, packed);
    out += outs_.Outs(0, panel).begin * out_.plane();
    args.inTile = tileStep();
    ForAlike(tiles, next, [&](int64_t first, int64_t count, Place place) {
      args.in = copies + first * tileStep();
      args.inStep = place.vecs * conv_.table.lanes;
      args.vecs = static_cast<int>(place.vecs);
      args.out = out + place.first;
      const bool asks = first < next;
      args.nextCount = asks ? asked.size() : 0;
      args.next = asks ? in + asked.begin * in_.plane() + PlaceOf(tiles.end + first).first : nullptr;
      args.more = count - 1;
      conv_.table.PlanesProduct(args);
    });
  }

  PlanePanels outs_;
  int64_t panels_, tileVecs_, tiles_, groupTiles_, tasks_;
  bool shared_;
};

}  // namespace

Reason AcceptsPointwisePlanes(const Conv& c) {
  if (c.kh * c.kw != 1) return "a kernel that is not 1x1";
  if (c.x.blocked || c.y.blocked) return "images in blocks";
  if (c.hasResidual) return "a residual";
  if (c.groups != 1) return "groups";
  if (c.padding.any()) return "padding";
  if (c.stride[0] * c.stride[1] != 1) return "stride";
  return c.y.plane() >= c.table.lanes ? "" : "fewer pixels than a vector has";
}

double CostPointwisePlanes(const Conv& c) {
  const int64_t vecs = (c.y.plane() + c.table.lanes - 1) / c.table.lanes;
  // The first panel waits for the image.
  const double perInput = 1.05 * static_cast<double>(c.y.c) + 2.5 * MultiplyAddsPerCycle(c.table);
  return perInput * static_cast<double>(vecs * c.x.c) + StreamCost(c.table, static_cast<double>(c.x.c * c.y.c));
}

std::unique_ptr<ConvStep> MakePointwisePlanes(const Conv& conv) { return std::make_unique<PointwisePlanes>(conv); }

}  // namespace xcorr
