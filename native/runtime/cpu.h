// What this machine can run, and on how many CPUs this process may.
#pragma once
#include <string>
#include <vector>

#include "../kernels/table.h"

namespace xcorr {

// Kernel tables that this CPU and its operating system support, best first.
const std::vector<const KernelTable*>& SupportedTables();
const KernelTable* FindTable(const std::string& name);  // null: unknown or unsupported
// CPUs in the affinity mask, at most the cgroup's quota (rounded up), at most 16.
int DefaultThreads();
// Multiply-adds of whole vectors that a core begins per cycle: 2, and 1 where AVX-512 has half the units or half the width.
int MultiplyAddsPerCycle(const KernelTable& table);
// Of one core; a guess where the system does not say. Decides how work is cut, never what comes out.
size_t SecondCacheBytes();

}  // namespace xcorr
