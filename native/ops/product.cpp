// linear, matmul, gemm: matrix products on the convolution's tile kernel. A row of the left matrix is a pixel, a column of the right one
// an output channel; the right matrix is packed into panels of columns, once if it never changes.
#include <algorithm>
#include <cstring>

#include "../runtime/arena.h"
#include "convTaps.h"
#include "epilogue.h"
#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

// y (rows, columns) = a (rows, depth) * b + bias, where b[k][o] lies at k * bDepth + o * bColumn, a[r][k] at r * aRow + k.
struct Product {
  int64_t rows, depth, columns;
  int64_t aRow, bDepth, bColumn;
  const KernelTable* table;
  Activation activation;

  int64_t panels() const { return (Blocks(columns) + table->tileBlocks - 1) / table->tileBlocks; }
  int64_t PanelBlocks(int64_t p) const { return std::min<int64_t>(table->tileBlocks, Blocks(columns) - p * table->tileBlocks); }
  int64_t PanelFloats() const { return table->tileBlocks * kBlock * (depth + 1); }
  int64_t PackedFloats() const { return panels() * PanelFloats(); }

  int64_t PanelFirst(int64_t p) const { return p * table->tileBlocks * kBlock; }
  int64_t PanelColumns(int64_t p) const { return std::min(columns - PanelFirst(p), PanelBlocks(p) * kBlock); }

  // b: of the panel's first column.
  void PackPanel(int64_t p, const float* b, const float* bias, float* packed) const {
    const int64_t lanes = PanelBlocks(p) * kBlock, first = PanelFirst(p);
    float* to = packed + p * PanelFloats();
    for (int64_t l = 0; l < lanes; ++l) to[l] = bias && first + l < columns ? bias[first + l] : 0.0f;
    to += lanes;
    for (int64_t k = 0; k < depth; ++k) {
      for (int64_t l = 0; l < lanes; ++l) *to++ = first + l < columns ? b[k * bDepth + l * bColumn] : 0.0f;
    }
  }

  // taps: 0, unit, 2 * unit ... Each task is a panel of columns, over all rows.
  void Run(Team& team, const float* a, const float* packed, const ptrdiff_t* taps, int unit, float* y) const {
    team.Run(panels(), [&](int64_t p, int) {
      ConvTileArgs args = {};
      const int64_t blocks = PanelBlocks(p), first = PanelFirst(p);
      args.inPixel = aRow;
      SetTaps(&args, taps, depth / unit);
      args.unit = unit;
      args.bias = packed + p * PanelFloats();
      args.weights = args.bias + blocks * kBlock;
      args.activation = activation;
      args.blocks = static_cast<int>(blocks);
      args.outBlock = kBlock;
      const int64_t width = PanelColumns(p);
      // Tiles write whole blocks: a last partial block goes through a buffer.
      float buffer[32 * 64];
      const bool whole = width == blocks * kBlock;
      for (int64_t r = 0; r < rows; r += table->tilePixels) {
        args.pixels = static_cast<int>(std::min<int64_t>(table->tilePixels, rows - r));
        args.in = a + r * aRow;
        args.out = whole ? y + r * columns + first : buffer;
        args.outPixel = whole ? columns : 64;
        table->ConvTile(args);
        if (whole) continue;
        for (int i = 0; i < args.pixels; ++i) std::memcpy(y + (r + i) * columns + first, buffer + i * 64, static_cast<size_t>(width) * sizeof(float));
      }
    });
  }
};

std::vector<ptrdiff_t> TapsFor(int64_t depth, int* unit) {
  *unit = depth % 8 == 0 ? 8 : 1;
  std::vector<ptrdiff_t> taps;
  for (int64_t k = 0; k < depth; k += *unit) taps.push_back(k);
  return taps;
}

class LinearStep : public Step {
 public:
  LinearStep(const Problem& p, const Product& product, bool hasBias, const Epilogue& epilogue)
      : product_(product), hasBias_(hasBias), epilogue_(epilogue), taps_(TapsFor(product.depth, &unit_)) {
    info.algorithm = "panels";
    constant_ = p.constants[1] && (!hasBias || p.constants[2]);
    if (!constant_) return;
    weight_ = p.constants[1];
    if (hasBias) bias_ = p.constants[2];
    packed_ = p.memory->TakeFloats(product_.PackedFloats());
  }
  size_t scratchBytes() const override { return constant_ ? 0 : static_cast<size_t>(product_.PackedFloats()) * sizeof(float); }
  bool ownsConstant(size_t i) const override { return constant_ && i >= 1; }
  int64_t packParts() const override { return constant_ ? product_.panels() : 0; }
  // A panel's columns are rows of the weights, one after another.
  void PackPart(int64_t panel, AlignedBuffer* buffer) override {
    AlignedBuffer biases;
    const float* rows = weight_.Floats(product_.PanelFirst(panel) * product_.depth, product_.PanelColumns(panel) * product_.depth, buffer);
    product_.PackPanel(panel, rows, bias_ ? bias_.Floats(&biases) : nullptr, packed_);
  }
  void Run(Team& team, const void* const* inputs, void* const* outputs, void* scratch) const override {
    const float* packed = packed_;
    if (!constant_) {
      float* to = static_cast<float*>(scratch);
      for (int64_t p = 0; p < product_.panels(); ++p) product_.PackPanel(p, In(inputs, 1) + product_.PanelFirst(p) * product_.depth, hasBias_ ? In(inputs, 2) : nullptr, to);
      packed = to;
    }
    product_.Run(team, In(inputs, 0), packed, taps_.data(), unit_, Out(outputs));
    epilogue_.ApplyRest(Out(outputs), product_.rows * product_.columns);
  }

 private:
  Product product_;
  bool hasBias_, constant_ = false;
  Epilogue epilogue_;
  int unit_ = 1;
  std::vector<ptrdiff_t> taps_;
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
  const Product product = {Rows(x), w.shape[1], w.shape[0], w.shape[1], 1, w.shape[1], p.kernels, epilogue.fused};
  return std::make_unique<LinearStep>(p, product, p.inputs.size() > 2, epilogue);
}

std::unique_ptr<Step> Make_matmul(const Problem& p) {
  RequireFloat32(p);
  RequirePlain(p);
  const TensorDesc a = p.inputs[0], b = p.inputs[1], y = p.outputs[0];
  if (a.shape.size() < 2 || b.shape.size() < 2) throw Declined("a vector operand");
  const int64_t m = a.shape[a.shape.size() - 2], k = a.shape.back(), n = b.shape.back();
  if (m == 0 || k == 0 || n == 0) throw Declined("nothing to multiply");
  const Product product = {m, k, n, k, n, 1, p.kernels, {}};
  int unit;
  const std::vector<ptrdiff_t> taps = TapsFor(k, &unit);
  const int64_t batches = y.Elements() / (m * n);
  return MakeFunction("panels", [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float* packed = static_cast<float*>(scratch);
    for (int64_t i = 0; i < batches; ++i) {
      const float* right = In(inputs, 1) + BatchOffset(b, y, i);
      team.Run(product.panels(), [&](int64_t panel, int) { product.PackPanel(panel, right + product.PanelFirst(panel), nullptr, packed); });
      product.Run(team, In(inputs, 0) + BatchOffset(a, y, i), packed, taps.data(), unit, Out(outputs) + i * m * n);
    }
  }, static_cast<size_t>(product.PackedFloats()) * sizeof(float));
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
  const Product product = {m, k, n, k, transB ? 1 : n, transB ? k : 1, p.kernels, {}};
  int unit;
  const std::vector<ptrdiff_t> taps = TapsFor(k, &unit);
  const bool hasC = p.inputs.size() > 2;
  // Strides of c along rows and columns: 0 where it repeats.
  int64_t cRow = 0, cColumn = 0;
  if (hasC && !p.inputs[2].shape.empty()) {
    const std::vector<int64_t>& c = p.inputs[2].shape;
    cColumn = c.back() == 1 ? 0 : 1;
    cRow = c.size() == 2 && c[0] != 1 ? c[1] : 0;
  }
  return MakeFunction("panels", [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    float *packed = static_cast<float*>(scratch), *out = Out(outputs);
    team.Run(product.panels(), [&](int64_t panel, int) { product.PackPanel(panel, In(inputs, 1) + product.PanelFirst(panel) * product.bColumn, nullptr, packed); });
    product.Run(team, In(inputs, 0), packed, taps.data(), unit, out);
    for (int64_t row = 0; row < m; ++row) {
      for (int64_t column = 0; column < n; ++column) {
        const float c = hasC ? beta * In(inputs, 2)[row * cRow + column * cColumn] : 0.0f;
        out[row * n + column] = alpha * out[row * n + column] + c;
      }
    }
  }, static_cast<size_t>(product.PackedFloats()) * sizeof(float));
}

}  // namespace xcorr
