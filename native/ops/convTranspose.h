// The algorithm that only convTranspose2d has; see convTranspose2d.cpp.
#pragma once
#include "conv2d.h"

namespace xcorr {

// convTransposeScattered.cpp
Reason AcceptsScattered(const Conv& conv);
std::unique_ptr<ConvStep> MakeScattered(const Conv& conv);

}  // namespace xcorr
