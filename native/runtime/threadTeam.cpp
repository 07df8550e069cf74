#include "threadTeam.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "cpu.h"
#include "pause.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace xcorr {
namespace {

// Between two steps of a run workers wait by spinning, for some 50 us; after that they sleep. Once the run is over they let others have the CPU at once: the
// thread that waits for its results may have been woken on theirs.
constexpr int kSpins = 1000;

// A thread that sleeps takes 10 us to wake, on a virtual machine 50 and more. Where work has come back to back, a thread therefore
// looks out for the next piece this long before it sleeps; and lets others have the CPU meanwhile.
constexpr std::chrono::microseconds kPatience{500};

// Remembers whether waiting was worth it: once the gap between two pieces of work was short, and until one is long.
class Patience {
 public:
  // Waits until `ready`, or for as long as it is worth.
  template <typename F>
  void Wait(const F& ready) {
    began_ = std::chrono::steady_clock::now();
    while (worth_ && !ready() && std::chrono::steady_clock::now() - began_ < kPatience) {
      for (int i = 0; i < 20; ++i) Pause();
      std::this_thread::yield();
    }
  }
  // Work has come, if only after a sleep.
  void Came() { worth_ = std::chrono::steady_clock::now() - began_ < kPatience; }

 private:
  std::chrono::steady_clock::time_point began_;
  bool worth_ = false;
};

// Keeps this library in memory until the process ends. Our threads never end, but Node unloads an addon when the last environment that
// loaded it ends, and that may be a worker: the threads would be left without their code.
void StayLoaded() {
  static const char inThisLibrary = 0;
#if defined(_WIN32)
  HMODULE self;
  GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN, &inThisLibrary, &self);
#else
  Dl_info info;
  if (dladdr(&inThisLibrary, &info) != 0) dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

// Starts a thread that runs for ever. False if the system has none left (a container's limit on processes, say).
template <typename F>
bool StartThread(const F& work) {
  static std::once_flag once;
  std::call_once(once, StayLoaded);
  try {
    std::thread(work).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

// A run is announced by one 64-bit word: a serial number, and in the low 16 bits how many more workers may
// join. A worker joins by taking one off, in one step with the serial number, so that it can never join a run that is over; the caller closes the
// run by clearing those bits, and waits for the workers that did join. One that wakes too late (a wake-up can take a millisecond on a virtual
// machine) finds the run closed, and has held up nobody.
class ThreadTeam : public Team {
 public:
  int size() const override { return size_; }

  void Run(int64_t count, TaskRef task) override {
    const int helpers = static_cast<int>(std::min<int64_t>(size_ - 1, count - 1));
    if (helpers <= 0) {
      for (int64_t i = 0; i < count; ++i) task(i, 0);
      return;
    }
    task_ = &task;
    count_ = count;
    helpers_ = helpers;
    ranges_ = std::min(helpers + 1, kRanges);
    for (int r = 0; r < ranges_; ++r) tasks_[r].next.store(BeginOf(r), std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    const uint64_t serial = (word_.load(std::memory_order_relaxed) >> 16) + 1;
    word_.store(serial << 16 | static_cast<uint64_t>(helpers), std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    TakeTasks(0, 0);
    const uint64_t open = word_.fetch_and(~kSlots, std::memory_order_acq_rel) & kSlots;
    const int joined = helpers - static_cast<int>(open);
    for (int spins = 0; done_.load(std::memory_order_acquire) < joined; ++spins) {
      if (spins < kSpins) Pause();
      else std::this_thread::yield();
    }
  }

  bool TryLease(int size) {
    if (!lease_.try_lock()) return false;
    Resize(size);
    leased_.store(true, std::memory_order_relaxed);
    return true;
  }
  void Release() {
    leased_.store(false, std::memory_order_relaxed);
    lease_.unlock();
  }

 private:
  // Smaller than asked for if no more threads can be started; results do not depend on the size.
  void Resize(int size) {
    while (workers_ < size - 1) {
      const uint64_t serial = word_.load(std::memory_order_acquire) >> 16;
      const int index = workers_;
      if (!StartThread([this, index, serial] { Work(index, serial); })) break;
      ++workers_;
    }
    size_ = std::min(size, workers_ + 1);
  }

  // Everyone begins with a range of its own, always the same one, so that a thread meets in its caches what it wrote a step before; then
  // helps with the others.
  void TakeTasks(int own, int thread) {
    for (int k = 0; k < ranges_; ++k) {
      const int r = (own + k) % ranges_;
      const int64_t end = BeginOf(r + 1);
      for (int64_t i; (i = tasks_[r].next.fetch_add(1, std::memory_order_relaxed)) < end;) (*task_)(i, thread);
    }
  }

  int64_t BeginOf(int range) const { return count_ * range / ranges_; }

  void Work(int index, uint64_t serial) {
    Patience patience;
    for (;;) {
      uint64_t word = WaitForRun(serial, &patience);
      serial = word >> 16;
      while ((word & kSlots) > 0 && word >> 16 == serial) {
        if (!word_.compare_exchange_weak(word, word - 1, std::memory_order_acq_rel)) continue;
        TakeTasks(index + 1, helpers_ - static_cast<int>(word & kSlots) + 1);
        done_.fetch_add(1, std::memory_order_release);
        break;
      }
    }
  }

  // The word of a run after this one.
  uint64_t WaitForRun(uint64_t serial, Patience* patience) {
    const auto announced = [&] { return word_.load(std::memory_order_acquire) >> 16 != serial; };
    for (int spins = 0; spins < kSpins && leased_.load(std::memory_order_relaxed); ++spins) {
      if (announced()) return word_.load(std::memory_order_acquire);
      Pause();
    }
    patience->Wait(announced);
    WaitAsleep(serial);
    patience->Came();
    return word_.load(std::memory_order_acquire);
  }

  void WaitAsleep(uint64_t serial) {
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    wake_.wait(lock, [&] { return word_.load(std::memory_order_seq_cst) >> 16 != serial; });
    sleeping_.fetch_sub(1, std::memory_order_relaxed);
  }

  static constexpr uint64_t kSlots = 0xffff;
  int size_ = 1;
  int workers_ = 0;
  std::mutex lease_;
  std::atomic<bool> leased_{false};
  const TaskRef* task_ = nullptr;
  int64_t count_ = 0;
  int helpers_ = 0;
  std::atomic<uint64_t> word_{0};
  static constexpr int kRanges = 64;
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
  };
  Range tasks_[kRanges];
  int ranges_ = 1;
  std::atomic<int> done_{0};
  std::atomic<int> sleeping_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
};

// Never destroyed: threads may still wait on it when the process ends.
ThreadTeam& ProcessTeam() {
  static ThreadTeam* team = new ThreadTeam;
  return *team;
}

// Threads that run whole jobs; started as they are needed, as many as there are CPUs for us.
struct Runners {
  struct Job {
    std::function<void()> run, report;
  };
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;
  std::atomic<int> waiting{0};  // jobs, for the one who looks out
  int threads = 0, idle = 0;
  bool watched = false;  // an idle one looks out; two would take turns with the jobs, and CPUs from the team

  void Work() {
    Patience patience;
    std::function<void()> report = [] {};
    for (;;) {
      Job job = Take(std::move(report), &patience);
      job.run();
      report = std::move(job.report);
    }
  }

  // Free first, then `report`: the thread that it wakes may well take this CPU, and send the next job before we go on.
  Job Take(std::function<void()> report, Patience* patience) {
    std::unique_lock<std::mutex> lock(mutex);
    ++idle;
    const bool watch = !watched;
    watched = true;
    lock.unlock();
    report();
    report = nullptr;  // we may wait for long, and it holds a network
    if (watch) patience->Wait([this] { return waiting.load(std::memory_order_relaxed) > 0; });
    lock.lock();
    if (watch) watched = false;
    wake.wait(lock, [this] { return !jobs.empty(); });
    --idle;
    patience->Came();
    Job job = std::move(jobs.front());
    jobs.pop_front();
    --waiting;
    return job;
  }
};

// Of all leases.
std::atomic<int> busyThreads{0};

Runners& ProcessRunners() {
  static Runners* runners = new Runners;
  return *runners;
}

}  // namespace

TeamLease::TeamLease(int threads) : team_(&serial_) {
  if (threads > 1 && ProcessTeam().TryLease(threads)) team_ = &ProcessTeam();
  busyThreads += team_->size();
}

TeamLease::~TeamLease() {
  busyThreads -= team_->size();
  if (team_ != &serial_) ProcessTeam().Release();
}

int TeamLease::Busy() { return busyThreads; }

void Submit(std::function<void()> run, std::function<void()> report) {
  Runners& runners = ProcessRunners();
  {
    std::lock_guard<std::mutex> lock(runners.mutex);
    const bool more = runners.idle <= static_cast<int>(runners.jobs.size()) && runners.threads < DefaultThreads();
    if (more && StartThread([&runners] { runners.Work(); })) ++runners.threads;
    if (runners.threads > 0) {
      runners.jobs.push_back({std::move(run), std::move(report)});
      ++runners.waiting;
      if (!runners.watched || runners.jobs.size() > 1) runners.wake.notify_one();
      return;
    }
  }
  // No thread to be had at all: late is better than never.
  run();
  report();
}

}  // namespace xcorr
