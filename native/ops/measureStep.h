// The time that a step takes on this machine, for choices that are made by trying.
#pragma once
#include "op.h"

namespace xcorr {

// Milliseconds of one run on one thread, the least of a few; its inputs are zeros where they are not constant, and its constants come from beyond the second
// cache, as in a network.
double MeasureStep(const Problem& problem, const Step& step);

}  // namespace xcorr
