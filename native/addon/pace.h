// How fast the runs of a program have shown to be. What is decided by it changes no result.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>

namespace xcorr {

using Duration = std::chrono::steady_clock::duration;

// A length of time that runs have proved to be shorter than; they must take twice as long to lose that. Results do not depend on it.
class Limit {
 public:
  explicit Limit(Duration limit) : limit_(limit.count()) {}
  void Set(Duration limit) { limit_ = limit.count(); }
  void Took(Duration time) {
    if (time.count() < limit_) under_ = true;
    else if (time.count() > 2 * limit_) under_ = false;
  }
  bool under() const { return under_; }

 private:
  std::atomic<Duration::rep> limit_;
  std::atomic<bool> under_{false};
};

// What the runs of a program have shown.
struct Pace {
  Limit alone{std::chrono::microseconds(40)};  // one thread is done before others have woken
  // An asynchronous run is nearly done before its inputs could be copied, and it be handed to another thread and back.
  Limit atOnce{kHandedOver};
  // What it took the calling thread to copy inputs that a run at once reads where they are. It takes as long again to read the copy, so that such a run
  // holds the thread no longer than twice as long as a copy does.
  void Copied(Duration time) { atOnce.Set(kHandedOver + std::min<Duration>(2 * time, kLongest)); }

 private:
  static constexpr std::chrono::microseconds kHandedOver{250}, kLongest{3000};
};

}  // namespace xcorr
