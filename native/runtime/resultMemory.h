// Memory for large results. JavaScript owns them and gives them back when its garbage collector finds them unused; here they wait to be used
// again. Fresh memory costs a page fault for every 4 KB, which is more than it takes to fill it.
#pragma once
#include "arena.h"

namespace xcorr {

AlignedBuffer TakeResultMemory(size_t bytes);  // uninitialised; throws std::bad_alloc
void ReturnResultMemory(AlignedBuffer memory);

}  // namespace xcorr
