#include "cpu.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace xcorr {

#define X(isa)                     \
  namespace isa {                  \
  extern const KernelTable kTable; \
  }
#include "../isa/isa.inc"
#undef X

namespace {

#if defined(__x86_64__) || defined(_M_X64)

struct Registers {
  uint32_t a, b, c, d;
};

Registers CpuId(uint32_t leaf, uint32_t subleaf) {
#if defined(_MSC_VER)
  int r[4];
  __cpuidex(r, static_cast<int>(leaf), static_cast<int>(subleaf));
  return {static_cast<uint32_t>(r[0]), static_cast<uint32_t>(r[1]), static_cast<uint32_t>(r[2]), static_cast<uint32_t>(r[3])};
#else
  Registers r = {0, 0, 0, 0};
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
#endif
}

// Which register files the operating system saves on a context switch.
uint64_t EnabledStates() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

bool Bit(uint64_t word, int bit) { return (word >> bit) & 1; }

bool Supports(const std::string& isa) {
  if (isa == "scalar" || isa == "sse2") return true;
  const Registers one = CpuId(1, 0);
  if (!Bit(one.c, 27)) return false;  // OSXSAVE: the OS manages extended registers
  const uint64_t states = EnabledStates();
  const Registers seven = CpuId(7, 0);
  const bool avx2 = (states & 0x6) == 0x6 && Bit(one.c, 28) && Bit(one.c, 12) && Bit(one.c, 29) && Bit(seven.b, 5);
  if (isa == "avx2") return avx2;
  // AVX-512 F, DQ, CD, BW, VL, and the OS saves its masks and registers.
  const bool all = Bit(seven.b, 16) && Bit(seven.b, 17) && Bit(seven.b, 28) && Bit(seven.b, 30) && Bit(seven.b, 31);
  return isa == "avx512" && avx2 && all && (states & 0xe6) == 0xe6;
}

#else

// NEON is part of AArch64's baseline.
bool Supports(const std::string&) { return true; }

#endif

#if defined(__x86_64__) || defined(_M_X64)

// Whether vectors of AVX-512 are multiplied at half of the speed: cores that take them in two halves (Zen 4), and those of Intel's clients, which have one
// unit for them (Ice Lake, Tiger Lake, Rocket Lake). Servers of Intel with one unit cannot be told by their model from those with two.
bool HalvesWideVectors() {
  const Registers zero = CpuId(0, 0), one = CpuId(1, 0);
  const uint32_t family = (one.a >> 8 & 15) + (one.a >> 20 & 255), model = (one.a >> 4 & 15) | (one.a >> 12 & 0xf0);
  constexpr uint32_t kOfAuthenticAmd = 0x68747541, kOfGenuineIntel = 0x756e6547;
  if (zero.b == kOfAuthenticAmd) return family == 0x19;
  constexpr uint32_t kClients[] = {0x7d, 0x7e, 0x8c, 0x8d, 0xa7};
  return zero.b == kOfGenuineIntel && family == 6 && std::find(std::begin(kClients), std::end(kClients), model) != std::end(kClients);
}

#else

bool HalvesWideVectors() { return false; }

#endif

// CPUs' worth of time that the process's cgroup (version 2) may use; 0: no limit, or none known.
double CgroupQuota() {
  std::ifstream self("/proc/self/cgroup");
  std::string line, path;
  while (std::getline(self, line)) {
    if (line.rfind("0::", 0) == 0) path = line.substr(3);
  }
  double quota = 0;
  // A limit on any group above counts too.
  for (;;) {
    std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
    double limit, period;
    if (file >> limit >> period && period > 0) quota = quota > 0 ? std::min(quota, limit / period) : limit / period;
    const size_t slash = path.find_last_of('/');
    if (path.empty() || slash == std::string::npos) break;
    path = path.substr(0, slash);
  }
  return quota;
}

}  // namespace

const std::vector<const KernelTable*>& SupportedTables() {
  static const std::vector<const KernelTable*> tables = [] {
    const KernelTable* const all[] = {
#define X(isa) &isa::kTable,
#include "../isa/isa.inc"
#undef X
    };
    std::vector<const KernelTable*> supported;
    for (const KernelTable* table : all) {
      if (Supports(table->name)) supported.push_back(table);
    }
    return supported;
  }();
  return tables;
}

const KernelTable* FindTable(const std::string& name) {
  for (const KernelTable* table : SupportedTables()) {
    if (name == table->name) return table;
  }
  return nullptr;
}

int DefaultThreads() {
  // Once: eager calls ask every time, and the quota takes a few files to read.
  static const int threads = [] {
    int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
#endif
    const double quota = CgroupQuota();
    if (quota > 0) count = std::min(count, static_cast<int>(quota + 0.999));
    return std::max(1, std::min(count, 16));
  }();
  return threads;
}

int MultiplyAddsPerCycle(const KernelTable& table) {
  static const bool halves = HalvesWideVectors();
  return table.lanes > 8 && halves ? 1 : 2;
}

size_t SecondCacheBytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes >= (128 << 10)) return std::min<size_t>(static_cast<size_t>(bytes), 4 << 20);
#endif
  return 512 << 10;
}

}  // namespace xcorr
