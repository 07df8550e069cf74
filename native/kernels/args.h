// Plain structs that kernels take. Everything is in floats, never bytes; strides may be anything the caller likes.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "winogradPoints.h"

namespace xcorr {

// An activation that a kernel applies to its result. Meanings: docs/ops.md.
enum class ActivationKind : uint8_t {
  kNone, kClip, kLeakyRelu, kSigmoid, kHardSigmoid, kHardSwish, kSilu, kTanh, kElu, kMish, kGelu, kGeluTanh, kPrelu,
};
struct Activation {
  ActivationKind kind = ActivationKind::kNone;
  float scale = 1, shift = 0;  // what the activation gives is multiplied and moved by these, if `affine`
  bool affine = false;
  float a = 0, b = 0;  // clip: min, max; hardSigmoid: alpha, beta; leakyRelu, elu, silu: alpha
  const float* slopes = nullptr;  // prelu: of the channels of the results, from the first of them on; whole panels

  // The same on results whose first channel comes so many behind.
  Activation From(int64_t channel) const {
    Activation f = *this;
    if (f.slopes) f.slopes += channel;
    return f;
  }
  // The same on one channel, counted likewise: with one slope it is leakyRelu.
  Activation Of(int64_t channel) const {
    if (!slopes) return *this;
    Activation f = *this;
    f.kind = ActivationKind::kLeakyRelu;
    f.a = slopes[channel];
    f.slopes = nullptr;
    return f;
  }
};

// One tile of a convolution or matrix product: `pixels` outputs in a row times `blocks` blocks of 8 channels.
//
//   out[i][o] = activation(bias[o] + residual[i][o] + sum over t, u of in[i * inPixel + taps[t] + u] * weights[t][u][o])
//
// u counts `unit` neighbouring numbers of the input: 8 channels on blocked tensors, 8 columns of a plain patch, 1 elsewhere.
struct ConvTileArgs {
  const float* in;
  ptrdiff_t inPixel;      // from the input of one output pixel to that of the next
  const ptrdiff_t* taps;  // offsets from a pixel's input
  int64_t tapCount;
  int64_t inAhead;        // taps by which a kernel may ask for its input ahead, into that of the tile behind it; 0 .. tapCount
  int unit;               // 8 or 1
  const float* weights;   // [tap][unit][blocks * 8]
  const float* prefetch;  // fetched into the nearer caches meanwhile, prefetchLines lines of 64 bytes per tap
  int prefetchLines;
  const float* bias;      // [blocks * 8]
  const float* residual;  // at the first output pixel, laid out as out; null: none
  float* out;
  ptrdiff_t outPixel;     // 8 in a blocked row
  ptrdiff_t outBlock;     // from one block of 8 channels to the next
  int pixels;             // 1 .. KernelTable::TilePixels(blocks)
  // Pixels anywhere, for images whose rows do not fill tiles: input and output of pixel i lie at in + inAt[i] and out + outAt[i], and inPixel
  // and outPixel mean nothing. With unit 8 only; null: pixels in a row.
  const ptrdiff_t* inAt;
  const ptrdiff_t* outAt;
  int blocks;             // 1 .. KernelTable::widestBlocks
  Activation activation;
  // With an inPixel of 8 only. Earlier sums to be added, [pixel][blocks * 8]; null: none.
  const float* sums[2];
  float* poison;          // [lanes], 0 before: NaN afterwards if a sum was not finite; null: nobody asks
  // As many tiles of as many pixels follow this one in the row; with pixels in a row.
  int64_t more;
};

// A tile of a convolution of plain images: `outs` output channels times `vecs` vectors of neighbouring pixels.
//
//   out[o * outPlane + outAt[v] + lane] = activation(bias[o] + sum over t of in[inAt[v] + taps[t] + lane] * weights[t * outs + o])
struct PlanesTileArgs {
  const float* in;
  const ptrdiff_t* inAt;  // [vecs]
  int vecs;               // 1 .. KernelTable::PlaneVecs(outs)
  const ptrdiff_t* taps;
  int64_t tapCount;
  const float* weights;
  const float* bias;      // [outs]
  float* out;
  const ptrdiff_t* outAt;  // [vecs]
  ptrdiff_t outPlane;
  int outs;  // 1 .. KernelTable::planeOuts
  Activation activation;
  int64_t more;  // as many tiles of as many vectors follow, each with its places behind those of the one before
};

// step * count pixels of a row, by phases:  out[p * outPhase + i] = in[i * step + p]
struct PhasesArgs {
  const float* in;
  int64_t step, count;
  float* out;
  ptrdiff_t outPhase;
};

// The same of a 1x1 kernel: `outs` output channels times `vecs` vectors of pixels in a row, of input channels inStep apart.
//
//   out[o * outPlane + i] = activation(bias[o] + sum over c of in[c * inStep + i] * weights[c * outs + o])
struct PlanesProductArgs {
  const float* in;
  ptrdiff_t inStep;
  int64_t channels;
  int64_t inAhead;    // channels by which `in` is asked for ahead, at most `channels`; 0: it is near
  float* copy;        // with an inAhead and more than 2 outputs: where the vectors that are read go one after another; null: nowhere
  const float* next;  // without an inAhead: nextCount tiles of one channel, nextStep apart, are asked for meanwhile; at most `channels`
  ptrdiff_t nextStep;
  int64_t nextCount;
  const float* weights;
  const float* bias;  // [outs]
  float* out;
  ptrdiff_t outPlane;
  int vecs;  // 1 .. KernelTable::PlaneVecs(outs)
  int outs;  // 1 .. KernelTable::planeOuts
  Activation activation;
  // As many tiles of as many vectors follow this one in the image, and copyTile apart in the copy; inTile: from the input of one to that of the next.
  int64_t more;
  ptrdiff_t inTile, copyTile;
};

// Pixels in a row of a convolution of blocked images to few output channels, which are planes:
//
//   out[o * outPlane + i * outPixel] = activation(bias[o] + residual[same place] + sum over t, u of in[i * inPixel + taps[t] + u] * weights[t][o][u])
//
// u counts the 8 channels of a block.
struct DotsArgs {
  const float* in;
  ptrdiff_t inPixel;
  const ptrdiff_t* taps;
  int64_t tapCount;
  const float* weights;
  const float* bias;      // [outs]
  const float* residual;  // null: none
  float* out;
  ptrdiff_t outPixel, outPlane;
  int outs;               // 1 .. KernelTable::dotOuts
  int64_t pixels;
  Activation activation;
};

// A PlanesTile of one output channel: `rows` rows, each of `vecs` vectors side by side.
//
//   out[y * outRow + x] = activation(bias + sum over i, t of in[(y + i) * inRow + taps[t] + x] * weights[i * tapCount + t])
struct PlanesRowsArgs {
  const float* in;
  ptrdiff_t inRow;
  const ptrdiff_t* taps;  // of one row of the kernel
  int64_t tapCount, kernelRows;
  const float* weights;
  float bias;
  float* out;
  ptrdiff_t outRow;
  int vecs;  // 1 .. KernelTable::PlaneRowVecs(kernelRows)
  int64_t rows;
  Activation activation;
};

// `rows` output rows of a convolution in which every lane has weights of its own, on one panel of KernelTable::panelBlocks blocks of 8 channels.
//
//   out[r][x][lane] = activation(bias[lane] + residual[same place] + sum over u, i, j of
//       in[r * stride + i][x * stride + j * dilation - left][places[u][lane]] * weights[u][i][j][lane])
//
// Rows and columns of the input outside of the image count as 0 and are not read, by kernels for which LanewiseRows gives a number; for others there are none.
struct LanewiseArgs {
  const float* in;          // column 0 of the first row of taps
  ptrdiff_t inRow;          // from one row of taps to the next
  int rowBegin, rowEnd;     // rows of taps inside the image, counted from `in`
  const float* zeros;       // a row of zeros, of one block
  ptrdiff_t pixel;          // from one column to the next, of input and output: 8, or more in a track of columns that lie apart
  int64_t left, columns;    // columns of padding before column 0; columns of the image
  ptrdiff_t inSecond, outSecond;  // from the panel's first block to its second; 0: there is none
  int kernelRows, kernelColumns;
  int64_t stride, dilation; // of columns
  bool evenSteps;           // the stride of rows is the same, and there is no dilation
  int units;                // input channels per output channel
  const int32_t* places;    // [units][lanes of the panel]: which lane of the input; null: its own
  const float* weights;     // [units][kernelRows][kernelColumns][lanes of the panel]
  const float* bias;        // [lanes of the panel]
  const float* residual;    // laid out as out; null: none
  float* out;
  ptrdiff_t outRow;
  int rows;                 // 1 .. KernelTable::LanewiseRows; 1 where that is 0
  int64_t pixels;           // of an output row
  Activation activation;
};

// Output rows begin .. end - 1 of a depthwise convolution of `planes` planes, `kernel` x `kernel`.
//
//   out[y - begin][x] = activation(bias + sum over i, j of in[y * stride + i - top][x * stride + j * dilation - left] * weights[i][j])
//
// Rows and columns of the input outside of the image count as 0 and are not read.
struct DepthwisePlanesArgs {
  const float* in;  // the first plane
  int64_t height, width;
  ptrdiff_t inRow, inPlane;  // from a row to the next, from a plane to the next
  int64_t top, left;
  int kernel;         // 3 or 5; or 7, with a stride of 1
  int stride;         // 1 or 2
  int64_t dilation;   // of columns: more than 1 with 3x3 and a stride of 1 only. That of rows is one of inRow and outRow.
  const float* data;  // per plane: bias, weights
  float* out;         // row `begin` of the first plane
  ptrdiff_t outRow, outPlane;
  int64_t pixels;     // of an output row
  int64_t begin, end;
  int64_t planes;
  bool whole;  // begin .. end are all rows
  float low, high;  // limits of the results
};

// Windows of a pool (kernels/pool.h): their maxima, or their sums, each times a factor that makes it a mean.
enum class PoolKind : uint8_t { kMaximum, kSum };

// `outRows` output rows of one block of 8 channels, by windows of `window` x `window` pixels.
struct PoolSlideArgs {
  PoolKind kind;
  const float* const* rows;  // [(outRows - 1) * stride + window]; instead of those outside of the image one that changes nothing
  int64_t left, columns;     // columns of padding before column 0; columns of the image
  int window;                // 2 .. 5
  int64_t stride;            // of columns, and of rows if there are two: 1, 2, or at least the window
  int outRows;               // 1; or 2 if neither window nor stride is more than 3 and 2
  float* out;
  ptrdiff_t outRow;
  int64_t pixels;            // of an output row
  const float* const* factors;  // of sums: per output row [pixels][8]
};

// `count` output rows of `planes` planes, by windows that reach at most one output to the left and right: left <= 1, window - 1 - left <= stride.
struct PoolPlaneArgs {
  PoolKind kind;
  const float* in;        // the first plane
  int64_t height, width;
  int64_t top;            // the first window's first row, before the plane if negative
  int left;               // columns of padding before column 0
  int window;             // 2 or 3, square
  int stride;             // of rows and columns: 1 or 2
  float* out;             // the first of the rows asked for, of the first plane
  ptrdiff_t outPlane;
  int64_t pixels;         // of an output row
  int64_t count;
  int64_t planes;
  bool whole;             // the rows are all of a plane
  const float* const* factors;  // of sums: per output row [pixels], and up to a vector more is read
};

// The rows of windows, of `count` output rows of one block: the maximum or sum over i < rows of in[y * inStep + i * inRow + p * 8 + lane],
// for pixel p < pixels, goes to out[y * outStep + p % stride * outPhase + p / stride * 8 + lane].
struct PoolRowsArgs {
  PoolKind kind;
  const float* in;
  ptrdiff_t inRow, inStep;
  int rows;
  int64_t pixels, stride;
  float* out;
  ptrdiff_t outPhase, outStep;
  int64_t count;
};

// Their columns: out[y * outStep + p * 8 + lane] is the maximum over t of in[y * inStep + taps[t] + p * 8 + lane], or factors[p * 8 + lane] times the sum.
struct PoolColumnsArgs {
  PoolKind kind;
  const float* in;
  ptrdiff_t inStep;
  const ptrdiff_t* taps;
  int tapCount;
  const float* factors;
  float* out;
  ptrdiff_t outStep;
  int64_t pixels, count;
};

// Winograd's minimal filtering (kernels/winograd.h) on one block of 8 input channels: `count` tiles of kept[0] x kept[1] pixels.
// Coefficient i (row-major, of n[0] x n[1]) of tile t goes to out + i * outCoefficient + t * 8.
struct WinogradTile {
  const float* at;  // its top left pixel
  ptrdiff_t row, pixel;
};
struct WinogradInputArgs {
  int n[2];     // of rows, of columns: 1, 3 .. 8
  int kept[2];  // n, or n - 1 without the coefficients of infinity
  const WinogradTile* tiles;
  int count;
  float* out;
  ptrdiff_t outCoefficient;
};

// One tile back: rows x columns (at most m[0] x m[1]) outputs of `blocks` blocks of 8 channels.
struct WinogradOutputArgs {
  int n[2], m[2];
  const float* in;  // coefficient i of channel c: in[i * inCoefficient + c]
  ptrdiff_t inCoefficient;
  const float* bias;
  const float* residual;  // laid out as out; null: none
  float* out;
  ptrdiff_t outRow, outPixel, outBlock;
  int rows, columns, blocks;
  Activation activation;
  float* poison;  // [lanes], 0 before: NaN afterwards if an output was not finite
};

// The sums of Strassen's method (convStrassen.cpp) of one block of 8 of the first input channels and one of the second.
struct StrassenInputArgs {
  const float* in[2][2];  // [first, second pixels][first, second channels]
  int64_t pixels;         // of each half
  float* out;             // S1 .. S4, outSum apart
  ptrdiff_t outSum;
};

// Pixels of one block of 8 channels, of which `lanes` exist: lane l of pixel p is in[l * plane + p] on the side of the planes, [p * 8 + l] on
// that of the block. Lanes that do not exist are 0 in the block.
struct LayoutArgs {
  const float* in;
  float* out;
  ptrdiff_t plane;
  int64_t pixels;
  int lanes;
  ptrdiff_t ahead;  // planes that are written are asked for this many floats before
};

// Pixels of a block of 8 channels: lane l of pixel p is in[s][p * inPixel + lanes[s * 8 + l]] of the source s whose lane there is not negative, 0 without one.
struct PickArgs {
  const float* const* in;  // [sources]
  const int32_t* lanes;    // [sources][8]
  int sources;             // 0 .. 8
  float* out;
  int64_t pixels;
  ptrdiff_t inPixel, outPixel;  // from a pixel to the next: 8 or more
};

// out[l] = sum over p of in[p * 8 + l] or, if there is a mean, of the squares of what that differs from mean[l].
struct SumArgs {
  const float* in;
  double* out;
  int64_t pixels;
  const float* mean;
};

// Of each of a block's 8 lanes the largest number; NaN wins.
struct MaxArgs {
  const float* in;
  float* out;
  int64_t pixels;
};

// out[p] = factor * sum over i of in[p * pixels + i].
struct SumPlanesArgs {
  const float* in;
  float* out;
  int64_t planes, pixels;
  float factor;
};

// Softmax of `runs` runs of `length` numbers, one after another. With tops and sums (both or none), a number for each run: e^(in - top) instead, the highest of a
// run and the sum of these.
struct SoftmaxRunsArgs {
  const float* in;
  float* out;
  int64_t runs, length;
  float *tops, *sums;
};

// The same of columns that stand side by side, `length` rows that are `step` apart.
struct SoftmaxColumnsArgs {
  const float* in;
  float* out;
  int64_t columns, length;
  ptrdiff_t step;
  float *tops, *sums;
};

// The machine's own speed. out: [lanes].
struct PeakArgs {
  int64_t steps;
  float* out;
  int64_t* multiplyAdds;  // how many there were
};

enum class UnaryKind : uint8_t { kActivation, kErf, kExp, kSqrt, kReciprocal, kAbs, kNeg };
enum class BinaryKind : uint8_t { kAdd, kSub, kMul, kDiv, kMax, kMin, kPrelu };

struct UnaryArgs {
  const float* in;
  float* out;
  int64_t count;
  UnaryKind kind;
  Activation activation;
};

// out[i] = activation(a[i] op b[i] + c[i]), without c if it is null. An operand is full, one number for all, or one block of 8 repeated (a number per
// channel of a blocked plane).
enum class Operand : uint8_t { kFull, kScalar, kBlock };
struct BinaryArgs {
  const float* a;
  const float* b;
  float* out;
  int64_t count;
  Operand aForm, bForm;
  BinaryKind kind;
  Activation activation;
  const float* c = nullptr;
  Operand cForm = Operand::kFull;
};

// Pixels in a row of all blocks of 8 channels of an image:
//
//   out = (in - mean) / sqrt(variance + eps) * scale + bias, by the mean and the variance of the pixel's channels
//
// scale, bias: a number for each lane, 0 past the last channel.
struct ChannelNormArgs {
  const float* in;
  float* out;
  ptrdiff_t plane;  // from one block to the next
  int64_t channels, pixels;
  const float *scale, *bias;
  float eps;
};

// Pixels in a row of all blocks of 8 channels of an image:
//
//   base = k + factor * sum of the squares of `size` channels, the first `before` before this one;  out = in / base^(3/4), or base itself
struct ResponseNormArgs {
  const float* in;
  float* out;
  ptrdiff_t plane;  // from one block to the next
  int64_t blocks, pixels;
  int64_t size, before;
  float factor, k;
  bool threeQuarters;
  float* squares;   // work: per pixel blocks * 8 + size - 1 numbers
};

// A row at another width.
//
//   out[x] = sum over t of weights[begin[x] + t] * in[places[begin[x] + t]]      for t < begin[x + 1] - begin[x], which is 1 or more
struct SeparableColumnsArgs {
  const float* in;
  float* out;
  int64_t pixels;         // of the output
  int64_t unit;           // numbers of a pixel: 8 or 1
  int64_t taps;           // of every pixel, or 0 where they differ. One tap has a weight of 1
  const int64_t* begin;   // [pixels + 1]
  const int64_t* places;
  const float* weights;
  bool maximum;           // the largest of them instead of the sum, NaN if one is; weights mean nothing
  // With a unit of 1, where the same number of taps of 8 neighbours always lie within 8; else null. Groups of 8 pixels, the last of which ends with the row: the
  // first input of each, and where its taps lie from there, with their weights: [group][tap][8].
  const int64_t* firsts;
  const int32_t* lanes;
  const float* laneWeights;
};

// out[i] = sum over t of weights[t] * rows[t][i], or their maximum.
struct SeparableRowsArgs {
  const float* const* rows;
  const float* weights;
  int64_t taps;
  float* out;
  int64_t floats;
  bool maximum;
};

}  // namespace xcorr
