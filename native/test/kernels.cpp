// The kernels alone, without Node: every table that this CPU supports against naive loops in double precision, family by family; guard values stand
// after the end of every output.
//
// Built and run by native/test/run.sh, for this machine and, under qemu, for AArch64.
#include "lanes.h"
#include "passes.h"
#include "pools.h"
#include "products.h"

int main() {
  for (const KernelTable* table : xcorr::SupportedTables()) {
    const int before = failures;
    TestProducts(*table);
    TestPools(*table);
    TestLanes(*table);
    TestPasses(*table);
    std::printf("%s: %s\n", table->name, failures == before ? "all kernels agree" : "FAILED");
  }
  return failures == 0 ? 0 : 1;
}
