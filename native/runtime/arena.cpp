#include "arena.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace xcorr {

void AlignedBuffer::AdviseHugePages(uint8_t* data, size_t bytes) {
#if defined(__linux__)
  madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // advice: nothing to do if it is not taken
#else
  (void)data;
  (void)bytes;
#endif
}

}  // namespace xcorr
