// Elementwise ops. Layouts do not matter to them as long as all images are in the same one; padding lanes are set to zero again where
// the op moves zero.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "epilogue.h"
#include "functionStep.h"
#include "layout.h"

namespace xcorr {
namespace {

std::unique_ptr<Step> MakeUnary(const Problem& p, UnaryArgs args, const std::string& rest, bool zeroStaysZero) {
  RequireFloat32(p);
  const TensorDesc y = p.outputs[0];
  if (p.inputs[0].layout != y.layout) throw Declined("input and output in different layouts");
  const int64_t count = y.StoredElements();
  const KernelTable* table = p.kernels;
  Epilogue finish{Attributes()};
  finish.rest = rest;
  const bool clears = y.layout == Layout::kBlocked && !zeroStaysZero;
  return MakeFunction("vectors", [=](Team& team, const void* const* inputs, void* const* outputs, void*) {
    InPieces(team, count, [&](int64_t begin, int64_t end) {
      UnaryArgs piece = args;
      piece.in = In(inputs, 0) + begin;
      piece.out = Out(outputs) + begin;
      piece.count = end - begin;
      table->UnaryRun(piece);
      finish.ApplyRest(piece.out, piece.count);
    });
    if (clears) ClearPaddingLanes(Image(y), Out(outputs));
  });
}

// The op as an activation: its attributes are the activation's parameters, without a prefix.
std::unique_ptr<Step> MakeActivation(const Problem& p) {
  Attributes attributes = p.attributes;
  attributes.Set("kind", p.op);
  const Epilogue epilogue(attributes, "");
  UnaryArgs args = {nullptr, nullptr, 0, UnaryKind::kActivation, epilogue.fused};
  return MakeUnary(p, args, epilogue.rest, epilogue.zeroStaysZero);
}

std::unique_ptr<Step> MakeFunctionOf(const Problem& p, UnaryKind kind) {
  const bool movesZero = kind == UnaryKind::kExp || kind == UnaryKind::kReciprocal;
  return MakeUnary(p, {nullptr, nullptr, 0, kind, {}}, "", !movesZero);
}

// How one operand meets the output: element by element, one for all, one per channel, one per pixel of an image in blocks, or by strides.
enum class Form { kFull, kScalar, kChannel, kPixel, kStrided };

Form FormOf(const TensorDesc& t, const TensorDesc& y) {
  if (t.shape == y.shape && t.layout == y.layout) return Form::kFull;
  if (t.Elements() == 1) return Form::kScalar;
  if (y.shape.size() != 4 || t.shape.size() > 4) return Form::kStrided;
  std::vector<int64_t> shape(4 - t.shape.size(), 1);
  shape.insert(shape.end(), t.shape.begin(), t.shape.end());
  if (shape[0] != y.shape[0] && shape[0] != 1) return Form::kStrided;
  if (shape[1] == y.shape[1] && shape[2] == 1 && shape[3] == 1) return Form::kChannel;
  const bool perPixel = shape[1] == 1 && shape[2] == y.shape[2] && shape[3] == y.shape[3];
  return perPixel && t.layout == Layout::kBlocked && y.layout == Layout::kBlocked ? Form::kPixel : Form::kStrided;
}

struct Binary {
  BinaryKind kind;
  Epilogue epilogue;
  TensorDesc a, b, y;
  Form aForm, bForm;
  bool residual;
  const KernelTable* table;
};

// Operands that repeat along several axes: one element at a time along the last axis, which is a run.
void RunStrided(const Binary& op, Team& team, const float* a, const float* b, const float* residual, float* y) {
  const size_t rank = op.y.shape.size();
  auto strides = [&](const TensorDesc& t) {
    std::vector<int64_t> s(rank, 0);
    int64_t step = 1;
    for (size_t k = 0; k < t.shape.size(); ++k) {
      const size_t axis = t.shape.size() - 1 - k;
      if (t.shape[axis] != 1) s[rank - 1 - k] = step;
      step *= t.shape[axis];
    }
    return s;
  };
  const std::vector<int64_t> sa = strides(op.a), sb = strides(op.b);
  const int64_t inner = rank ? op.y.shape[rank - 1] : 1;
  const int64_t rows = inner ? op.y.Elements() / inner : 0;
  const int64_t perTask = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, inner));
  team.Run((rows + perTask - 1) / perTask, [&](int64_t task, int) {
    for (int64_t row = task * perTask; row < std::min(rows, (task + 1) * perTask); ++row) {
      int64_t ia = 0, ib = 0, rest = row;
      for (size_t axis = rank - 1; axis-- > 0;) {
        const int64_t at = rest % op.y.shape[axis];
        rest /= op.y.shape[axis];
        ia += at * sa[axis];
        ib += at * sb[axis];
      }
      op.table->BinaryRun({a + ia, b + ib, y + row * inner, inner, sa[rank - 1] ? Operand::kFull : Operand::kScalar,
                           sb[rank - 1] ? Operand::kFull : Operand::kScalar, op.kind, op.epilogue.fused, residual ? residual + row * inner : nullptr});
    }
  });
}

// Numbers of a plane: 8 of a block or one. Those past the last channel are zero.
const float* PlaneNumbers(const TensorDesc& t, const float* data, int64_t plane, const TensorDesc& y, float (&buffer)[kBlock]) {
  const bool blocked = y.layout == Layout::kBlocked;
  const int64_t lanes = blocked ? kBlock : 1, perImage = blocked ? Blocks(y.shape[1]) : y.shape[1];
  const int64_t stored = t.layout == Layout::kBlocked ? perImage * kBlock : y.shape[1];
  const int64_t image = t.Elements() == y.shape[1] ? 0 : plane / perImage, channel = plane % perImage * lanes;
  const float* from = data + image * stored + channel;
  if (channel + lanes <= stored) return from;
  std::fill(std::copy(from, from + (stored - channel), buffer), buffer + kBlock, 0.0f);
  return buffer;
}

// The one channel of an image in blocks, in all lanes.
void Spread(Team& team, const TensorDesc& t, const float* from, float* to) {
  InPieces(team, t.StoredElements(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kBlock) std::fill_n(to + i, kBlock, from[i]);
  });
}

// Operands that are full, single, or one number per channel or pixel: in pieces of planes. spread: room for the operands of one number per pixel.
void RunPlanes(const Binary& op, Team& team, const float* a, const float* b, const float* residual, float* y, float* spread) {
  const bool blocked = op.y.layout == Layout::kBlocked;
  const int64_t planes = op.y.shape[0] * (blocked ? Blocks(op.y.shape[1]) : op.y.shape[1]);
  const int64_t plane = op.y.shape[2] * op.y.shape[3] * (blocked ? kBlock : 1), pieces = (plane + kGrain - 1) / kGrain;
  const int64_t perImage = planes / std::max<int64_t>(1, op.y.shape[0]);
  const auto spreads = [&](Form form, const TensorDesc& t, const float** data) {
    if (form != Form::kPixel) return;
    Spread(team, t, *data, spread);
    *data = spread;
    spread += t.StoredElements();
  };
  spreads(op.aForm, op.a, &a);
  spreads(op.bForm, op.b, &b);
  auto operand = [&](Form form) {
    return form == Form::kFull || form == Form::kPixel ? Operand::kFull : form == Form::kScalar || !blocked ? Operand::kScalar : Operand::kBlock;
  };
  team.Run(planes * pieces, [&](int64_t task, int) {
    const int64_t begin = task % pieces * kGrain, at = task / pieces * plane + begin;
    float bufferA[kBlock], bufferB[kBlock];
    auto place = [&](Form form, const TensorDesc& t, const float* data, float (&buffer)[kBlock]) {
      if (form == Form::kPixel) return data + (t.shape[0] == 1 ? 0 : task / pieces / perImage * plane) + begin;
      return form == Form::kFull ? data + at : form == Form::kScalar ? data : PlaneNumbers(t, data, task / pieces, op.y, buffer);
    };
    op.table->BinaryRun({place(op.aForm, op.a, a, bufferA), place(op.bForm, op.b, b, bufferB), y + at, std::min(kGrain, plane - begin), operand(op.aForm),
                         operand(op.bForm), op.kind, op.epilogue.fused, residual ? residual + at : nullptr});
  });
}

std::unique_ptr<Step> MakeBinary(const Problem& p, BinaryKind kind) {
  RequireFloat32(p);
  const Binary op = {kind, Epilogue(p.attributes), p.inputs[0], p.inputs[1], p.outputs[0], FormOf(p.inputs[0], p.outputs[0]),
                     FormOf(p.inputs[1], p.outputs[0]), p.attributes.Flag("residual"), p.kernels};
  const bool blocked = op.y.layout == Layout::kBlocked;
  const bool strided = op.aForm == Form::kStrided || op.bForm == Form::kStrided;
  if (blocked && strided) throw Declined("a broadcast that the blocked layout does not have");
  for (const TensorDesc& t : p.inputs) {
    if (t.layout == Layout::kBlocked && !blocked && t.Elements() > 1) throw Declined("operands in different layouts");
  }
  if (op.residual && FormOf(p.inputs[2], op.y) != Form::kFull) throw Declined("a residual in another layout");
  const auto wholly = [](Form form) { return form == Form::kFull || form == Form::kScalar; };
  const bool flat = wholly(op.aForm) && wholly(op.bForm);
  // Zero op zero is zero but for div, and so are the padding lanes then.
  const bool single = op.aForm == Form::kScalar || op.bForm == Form::kScalar;
  const bool perPixel = op.aForm == Form::kPixel || op.bForm == Form::kPixel;
  const bool clears = blocked && (single || perPixel || kind == BinaryKind::kDiv || !op.epilogue.zeroStaysZero);
  const int64_t count = op.y.StoredElements();
  const auto bytesOf = [](Form form, const TensorDesc& t) { return form == Form::kPixel ? static_cast<size_t>(t.StoredElements()) * sizeof(float) : 0; };
  const size_t spreadBytes = bytesOf(op.aForm, op.a) + bytesOf(op.bForm, op.b);
  return MakeFunction(flat ? "vectors" : strided ? "rows" : "planes", [=](Team& team, const void* const* inputs, void* const* outputs, void* scratch) {
    const float *a = In(inputs, 0), *b = In(inputs, 1), *residual = op.residual ? In(inputs, 2) : nullptr;
    float* y = Out(outputs);
    if (strided) {
      RunStrided(op, team, a, b, residual, y);
    } else if (!flat) {
      RunPlanes(op, team, a, b, residual, y, static_cast<float*>(scratch));
    } else {
      const bool fullA = op.aForm == Form::kFull, fullB = op.bForm == Form::kFull;
      InPieces(team, count, [&](int64_t begin, int64_t end) {
        op.table->BinaryRun({fullA ? a + begin : a, fullB ? b + begin : b, y + begin, end - begin, fullA ? Operand::kFull : Operand::kScalar,
                             fullB ? Operand::kFull : Operand::kScalar, op.kind, op.epilogue.fused, residual ? residual + begin : nullptr});
      });
    }
    if (!op.epilogue.rest.empty()) InPieces(team, count, [&](int64_t begin, int64_t end) { op.epilogue.ApplyRest(y + begin, end - begin); });
    if (clears) ClearPaddingLanes(Image(op.y), y);
  }, spreadBytes);
}

}  // namespace

#define X(op) \
  std::unique_ptr<Step> Make_##op(const Problem& p) { return MakeActivation(p); }
X(relu) X(clip) X(leakyRelu) X(elu) X(sigmoid) X(hardSigmoid) X(hardSwish) X(silu) X(mish) X(tanh) X(gelu) X(softplus)
#undef X

std::unique_ptr<Step> Make_erf(const Problem& p) { return MakeFunctionOf(p, UnaryKind::kErf); }
std::unique_ptr<Step> Make_exp(const Problem& p) { return MakeFunctionOf(p, UnaryKind::kExp); }
std::unique_ptr<Step> Make_sqrt(const Problem& p) { return MakeFunctionOf(p, UnaryKind::kSqrt); }
std::unique_ptr<Step> Make_reciprocal(const Problem& p) { return MakeFunctionOf(p, UnaryKind::kReciprocal); }
std::unique_ptr<Step> Make_abs(const Problem& p) { return MakeFunctionOf(p, UnaryKind::kAbs); }
std::unique_ptr<Step> Make_neg(const Problem& p) { return MakeFunctionOf(p, UnaryKind::kNeg); }

std::unique_ptr<Step> Make_identity(const Problem& p) {
  if (p.inputs[0].layout != p.outputs[0].layout) throw Declined("input and output in different layouts");
  const size_t bytes = p.outputs[0].Bytes();
  return MakeFunction("copy", [=](Team&, const void* const* inputs, void* const* outputs, void*) { std::memcpy(outputs[0], inputs[0], bytes); });
}

std::unique_ptr<Step> Make_add(const Problem& p) { return MakeBinary(p, BinaryKind::kAdd); }
std::unique_ptr<Step> Make_sub(const Problem& p) { return MakeBinary(p, BinaryKind::kSub); }
std::unique_ptr<Step> Make_mul(const Problem& p) { return MakeBinary(p, BinaryKind::kMul); }
std::unique_ptr<Step> Make_div(const Problem& p) { return MakeBinary(p, BinaryKind::kDiv); }
std::unique_ptr<Step> Make_maximum(const Problem& p) { return MakeBinary(p, BinaryKind::kMax); }
std::unique_ptr<Step> Make_minimum(const Problem& p) { return MakeBinary(p, BinaryKind::kMin); }
std::unique_ptr<Step> Make_prelu(const Problem& p) { return MakeBinary(p, BinaryKind::kPrelu); }

}  // namespace xcorr
