// linear, matmul, gemm: matrix products on the convolution's tile kernel. A row of the left matrix is a pixel, a column of the right one
// an output channel; the right matrix is packed into panels of columns, once if it never changes, else by each task that multiplies with a panel.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../runtime/arena.h"
#include "../runtime/cpu.h"
#include "epilogue.h"
#include "functionStep.h"
#include "layout.h"
#include "range.h"
#include "tiles.h"

namespace xcorr {
namespace {

// Where the elements of one product lie.
struct Matrices {
  const float *a, *b, *bias;  // bias: null: none
  const float* packed;        // b in panels; null: not yet
  float* y;
};

// y (rows, columns) = activation(alpha * a (rows, depth) * b + bias), where b[k][o] lies at k * bDepth + o * bColumn, a[r][k] at r * depth + k.
// With an alpha that is not 1 there is neither bias nor activation.
class Product {
 public:
  Product(const Problem& p, int64_t rows, int64_t depth, int64_t columns, int64_t bDepth, int64_t bColumn, const Activation& activation = {}, float alpha = 1)
      : rows_(rows), depth_(depth), columns_(columns), bDepth_(bDepth), bColumn_(bColumn), table_(p.kernels), activation_(activation), alpha_(alpha), threads_(p.choices.threads) {
    // The right matrix is packed times a number that cannot make it overflow or vanish; by others results are multiplied.
    if (!(std::abs(alpha) <= 1 && std::abs(alpha) >= 1.0f / 1024)) {
      alpha_ = 1;
      activation_.kind = ActivationKind::kClip;
      activation_.a = -std::numeric_limits<float>::infinity();
      activation_.b = std::numeric_limits<float>::infinity();
      activation_.affine = true;
      activation_.scale = alpha;
    }
    // Rows that lie a multiple of 4 KB apart share the few places of the first cache that their addresses allow: copies lie a line further apart.
    aRow_ = rows > 1 && panels() > 1 && depth % 1024 == 0 ? depth + 16 : depth;
    unit_ = depth % 8 == 0 ? 8 : 1;
    for (int64_t k = 0; k < depth; k += unit_) taps_.push_back(k);
  }

  int64_t panels() const { return (Blocks(columns_) + table_->tileBlocks - 1) / table_->tileBlocks; }
  int64_t depth() const { return depth_; }
  int64_t results() const { return rows_ * columns_; }
  int64_t PackedFloats() const { return panels() * PanelFloats(); }
  int64_t PanelFirst(int64_t p) const { return p * table_->tileBlocks * kBlock; }
  int64_t PanelColumns(int64_t p) const { return std::min(columns_ - PanelFirst(p), PanelBlocks(p) * kBlock); }
  float* PanelOf(int64_t p, float* packed) const { return packed + p * PanelFloats(); }

  // b: of the panel's first column.
  void PackPanel(int64_t p, const float* b, const float* bias, float* to) const {
    const int64_t lanes = PanelBlocks(p) * kBlock, first = PanelFirst(p), real = PanelColumns(p);
    for (int64_t l = 0; l < lanes; ++l) to[l] = bias && l < real ? bias[first + l] : 0.0f;
    to += lanes;
    for (int64_t k = 0; k < depth_; ++k, to += lanes) {
      const float* row = b + k * bDepth_;
      if (bColumn_ == 1 && alpha_ == 1) std::memcpy(to, row, static_cast<size_t>(real) * sizeof(float));
      else for (int64_t l = 0; l < real; ++l) to[l] = alpha_ * row[l * bColumn_];
      std::fill(to + real, to + lanes, 0.0f);
    }
  }

  // Of `count` products.
  size_t ScratchBytes(int64_t count) const { return !copiesRows() ? 0 : static_cast<size_t>(count * rows_ * aRow_) * sizeof(float); }

  // matrices(i): of product i.
  template <typename F>
  void Run(Team& team, int64_t count, float* scratch, const F& matrices) const {
    const int64_t panels = this->panels(), runs = RunsOfRows(count * panels);
    if (copiesRows()) {
      team.Run(count * rows_, [&](int64_t row, int) {
        std::memcpy(scratch + row * aRow_, matrices(row / rows_).a + row % rows_ * depth_, static_cast<size_t>(depth_) * sizeof(float));
      });
    }
    team.Run(count * runs * panels, [&](int64_t task, int) {
      const int64_t p = task % panels, i = task / panels / runs;
      const Range rows = Share(rows_, runs, task / panels % runs);
      const Matrices m = matrices(i);
      const int64_t toPack = m.packed ? 0 : PanelFloats();
      float* own = ThreadScratch(static_cast<size_t>(toPack + (EndsWithin(p) ? rows.size() * PanelBlocks(p) * kBlock : 0)));
      if (!m.packed) PackPanel(p, m.b + PanelFirst(p) * bColumn_, m.bias, own);
      RunPanel(p, rows, m.packed ? m.packed + p * PanelFloats() : own, copiesRows() ? scratch + i * rows_ * aRow_ : m.a, own + toPack, m.y);
    });
  }

 private:
  int64_t PanelBlocks(int64_t p) const { return std::min<int64_t>(table_->tileBlocks, Blocks(columns_) - p * table_->tileBlocks); }
  bool copiesRows() const { return aRow_ != depth_; }
  // A block, so that its panel's results go through a buffer: tiles write whole blocks.
  bool EndsWithin(int64_t p) const { return PanelColumns(p) < PanelBlocks(p) * kBlock; }
  int64_t PanelFloats() const { return table_->tileBlocks * kBlock * (depth_ + 1); }

  // Rows stay in the second cache while the panels go by; and there is enough for all threads to do, as long as a panel has some tiles.
  int64_t RunsOfRows(int64_t panels) const {
    const int64_t near = static_cast<int64_t>(SecondCacheBytes() / sizeof(float)) / 2;
    const int64_t wanted = threads_ > 1 ? (4 * threads_ + panels - 1) / panels : 1;
    return std::clamp<int64_t>(std::max(wanted, (rows_ * depth_ + near - 1) / near), 1, std::max<int64_t>(1, rows_ / (4 * table_->tilePixels)));
  }

  void RunPanel(int64_t p, Range rows, const float* panel, const float* a, float* buffer, float* y) const {
    ConvTileArgs args = {};
    const int64_t blocks = PanelBlocks(p), lanes = blocks * kBlock;
    float* const results = y + rows.begin * columns_ + PanelFirst(p);
    float* const to = EndsWithin(p) ? buffer : results;
    args.inPixel = aRow_;
    args.outPixel = EndsWithin(p) ? lanes : columns_;
    args.outBlock = kBlock;
    args.blocks = static_cast<int>(blocks);
    SetTaps(&args, taps_.data(), depth_ / unit_);
    args.unit = unit_;
    args.bias = panel;
    args.weights = panel + lanes;
    args.activation = activation_;
    ForTiles(rows.size(), TilesOf(*table_, blocks, rows.size()), [&](int64_t row, int64_t pixels, int64_t tiles) {
      args.in = a + (rows.begin + row) * aRow_;
      args.out = to + row * args.outPixel;
      args.pixels = static_cast<int>(pixels);
      args.more = tiles - 1;
      table_->ConvTile(args);
    });
    if (to == results) return;
    for (int64_t r = 0; r < rows.size(); ++r) {
      for (int64_t l = 0; l < PanelColumns(p); ++l) results[r * columns_ + l] = buffer[r * lanes + l];
    }
  }

  int64_t rows_, depth_, columns_, bDepth_, bColumn_, aRow_;
  const KernelTable* table_;
  Activation activation_;
  float alpha_;
  int threads_, unit_;
  std::vector<ptrdiff_t> taps_;
};

class LinearStep : public Step {
 public:
  LinearStep(const Problem& p, const Product& product, bool hasBias, const Epilogue& epilogue) : product_(product), hasBias_(hasBias), epilogue_(epilogue) {
    info.algorithm = "panels";
    constant_ = p.constants[1] && (!hasBias || p.constants[2]);
    if (!constant_) return;
    weight_ = p.constants[1];
    if (hasBias) bias_ = p.constants[2];
    packed_ = p.memory->TakeFloats(product_.PackedFloats());
  }
  size_t scratchBytes() const override { return product_.ScratchBytes(1); }
  bool ownsConstant(size_t i) const override { return constant_ && i >= 1; }
  int64_t packParts() const override { return constant_ ? product_.panels() : 0; }
  // A panel's columns are rows of the weights, one after another.
  void PackPart(int64_t panel, AlignedBuffer* buffer) override {
    AlignedBuffer biases;
    const float* rows = weight_.Floats(product_.PanelFirst(panel) * product_.depth(), product_.PanelColumns(panel) * product_.depth(), buffer);
    product_.PackPanel(panel, rows, bias_ ? bias_.Floats(&biases) : nullptr, product_.PanelOf(panel, packed_));
  }
  void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const override {
    product_.Run(team, 1, static_cast<float*>(scratch), [&](int64_t) {
      if (constant_) return Matrices{In(inputs, 0), nullptr, nullptr, packed_, Out(outputs)};
      return Matrices{In(inputs, 0), In(inputs, 1), hasBias_ ? In(inputs, 2) : nullptr, nullptr, Out(outputs)};
    });
    epilogue_.ApplyRest(Out(outputs), product_.results());
  }

 private:
  Product product_;
  bool hasBias_, constant_ = false;
  Epilogue epilogue_;
  Constant weight_, bias_;  // until they are packed
  float* packed_ = nullptr;
};

int64_t Rows(const TensorDesc& t) { return t.shape.back() ? t.Elements() / t.shape.back() : 0; }

// Offset of batch `index` of an operand, whose leading axes broadcast to the output's.
int64_t BatchOffset(const TensorDesc& t, const TensorDesc& y, int64_t index) {
  const size_t tBatch = t.shape.size() - 2, yBatch = y.shape.size() - 2;
  int64_t offset = 0, step = t.shape[tBatch] * t.shape[tBatch + 1];
  for (size_t k = 0; k < yBatch; ++k) {
    const int64_t at = index % y.shape[yBatch - 1 - k];
    index /= y.shape[yBatch - 1 - k];
    if (k >= tBatch) continue;
    const int64_t size = t.shape[tBatch - 1 - k];
    if (size != 1) offset += at * step;
    step *= size;
  }
  return offset;
}

}  // namespace

std::unique_ptr<Step> Make_linear(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const TensorDesc &x = p.inputs[0], &w = p.inputs[1];
  const Epilogue epilogue(p.attributes);
  if (x.Elements() == 0) throw Declined("nothing to multiply");
  const Product product(p, Rows(x), w.shape[1], w.shape[0], 1, w.shape[1], epilogue.fused);
  return std::make_unique<LinearStep>(p, product, p.inputs.size() > 2, epilogue);
}

std::unique_ptr<Step> Make_matmul(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const TensorDesc a = p.inputs[0], b = p.inputs[1], y = p.outputs[0];
  if (a.shape.size() < 2 || b.shape.size() < 2) throw Declined("a vector operand");
  const int64_t m = a.shape[a.shape.size() - 2], k = a.shape.back(), n = b.shape.back();
  if (m == 0 || k == 0 || n == 0) throw Declined("nothing to multiply");
  const Product product(p, m, k, n, n, 1, {}, static_cast<float>(p.attributes.Number("alpha", 1)));
  const int64_t matrices = y.Elements() / (m * n);
  return MakeFunction("panels", [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    product.Run(team, matrices, static_cast<float*>(scratch), [&](int64_t i) { return Matrices{In(inputs, 0) + BatchOffset(a, y, i), In(inputs, 1) + BatchOffset(b, y, i), nullptr, nullptr, Out(outputs) + i * m * n}; });
  }, product.ScratchBytes(matrices));
}

std::unique_ptr<Step> Make_gemm(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const bool transA = p.attributes.Flag("transA"), transB = p.attributes.Flag("transB");
  const float alpha = static_cast<float>(p.attributes.Number("alpha", 1)), beta = static_cast<float>(p.attributes.Number("beta", 1));
  if (transA) throw Declined("transA");
  const TensorDesc &a = p.inputs[0], &y = p.outputs[0];
  const int64_t m = a.shape[0], k = a.shape[1], n = y.shape[1];
  if (m == 0 || k == 0 || n == 0) throw Declined("nothing to multiply");
  const Product product(p, m, k, n, transB ? 1 : n, transB ? k : 1, {}, alpha);
  const bool hasC = p.inputs.size() > 2;
  // Strides of c along rows and columns: 0 where it repeats.
  int64_t cRow = 0, cColumn = 0;
  if (hasC && !p.inputs[2].shape.empty()) {
    const std::vector<int64_t>& c = p.inputs[2].shape;
    cColumn = c.back() == 1 ? 0 : 1;
    cRow = c.size() == 2 && c[0] != 1 ? c[1] : 0;
  }
  return MakeFunction("panels", [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float* out = Out(outputs);
    product.Run(team, 1, static_cast<float*>(scratch), [&](int64_t) { return Matrices{In(inputs, 0), In(inputs, 1), nullptr, nullptr, out}; });
    for (int64_t row = 0; hasC && row < m; ++row) {
      for (int64_t column = 0; column < n; ++column) out[row * n + column] += beta * In(inputs, 2)[row * cRow + column * cColumn];
    }
  }, product.ScratchBytes(1));
}

}  // namespace xcorr
