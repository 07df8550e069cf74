// Two convolutions that pass on some of the channels while these are near: one that makes them, and one that reads channel by channel. Each says what the
// other has to know; pointwiseDepthwise.cpp brings them together.
#pragma once
#include <vector>

#include "../runtime/team.h"
#include "range.h"

namespace xcorr {

// Pixels of an image in blocks of which not all need be there: pixel p of block b at `at` + b * block + p * 8.
template <typename Float>
struct InBlocks {
  Float* at;
  int64_t block;
};

// Makes parts of its output channels, each without the others, from an image in blocks.
class ConvByParts {
 public:
  virtual int64_t parts() const = 0;
  // The blocks of 8 output channels that a part makes.
  virtual std::vector<Range> BlocksOf(int64_t part) const = 0;
  // Parts come in all rows at once only.
  virtual bool wholePlanes() const { return false; }
  // In floats: what is worked out once for all parts, and what a thread needs meanwhile.
  virtual int64_t sharedFloats() const { return 0; }
  virtual int64_t ownFloats() const { return 0; }
  virtual void PrepareParts(Team& /*team*/, const float* /*in*/, float* /*shared*/) const {}
  // Rows of a part's blocks; out: the first of these is block 0.
  virtual void RunPart(int64_t part, Range rows, const float* packed, const float* in, const float* shared, float* own, InBlocks<float> out) const = 0;

 protected:
  ~ConvByParts() = default;
};

// Reads some blocks of its input channels without the others, and makes the output blocks of the same numbers.
class ConvOfParts {
 public:
  // So many blocks, from a multiple of this number on, are read together.
  virtual int64_t blocksTogether() const = 0;
  // The rows of the input that rows of the output are made of.
  virtual Range RowsRead(Range rows) const = 0;
  // In floats: what a thread needs meanwhile.
  virtual int64_t ownFloats() const { return 0; }
  virtual void RunBlocks(Range blocks, Range rows, const float* packed, InBlocks<const float> in, float* own, InBlocks<float> out) const = 0;

 protected:
  ~ConvOfParts() = default;
};

}  // namespace xcorr
