// How fast the runs of a program have shown to be. What is decided by it changes no result.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>

#include "../network/program.h"

namespace xcorr {

// A length of time that runs have proved to be shorter than; they must take twice as long to lose that. Results do not depend on it.
class Limit {
 public:
  explicit Limit(int microseconds) : limit_(microseconds) {}
  void Took(std::chrono::steady_clock::duration time) {
    if (time < limit_) under_ = true;
    else if (time > 2 * limit_) under_ = false;
  }
  bool under() const { return under_; }

 private:
  const std::chrono::microseconds limit_;
  std::atomic<bool> under_{false};
};

// What the runs of a program have shown.
struct Pace {
  explicit Pace(const Program& program) : atOnce(250 + MicrosecondsToCopy(program)) {}
  Limit alone{40};  // one thread is done before others have woken
  // An asynchronous run is nearly done before its inputs could be copied, and it be handed to another thread and back.
  Limit atOnce;

 private:
  // Inputs that are lent to a run at once. Copying takes place on the calling thread, at 10 GB/s.
  static int MicrosecondsToCopy(const Program& program) {
    size_t bytes = 0;
    for (size_t value : program.inputs()) {
      if (program.type(value).layout == Layout::kPlain) bytes += program.type(value).Bytes();
    }
    return static_cast<int>(std::min<size_t>(bytes / 10'000, 2000));
  }
};

}  // namespace xcorr
