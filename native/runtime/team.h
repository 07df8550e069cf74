// A team of threads that run one step together. The team of one is the calling thread alone.
//
// Work is split into tasks whose boundaries depend on the problem only, never on the number of threads, so results are
// bit-identical for any team size. Each task is done by one thread.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace xcorr {

// A reference to a callable void(int64_t task, int thread); owns nothing.
class TaskRef {
 public:
  template <typename F>
  TaskRef(const F& function)  // NOLINT: implicit on purpose
      : object_(&function),
        call_([](const void* object, int64_t task, int thread) { (*static_cast<const F*>(object))(task, thread); }) {}
  void operator()(int64_t task, int thread) const { call_(object_, task, thread); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t, int);
};

class Team {
 public:
  virtual ~Team() = default;
  virtual int size() const = 0;
  // Runs task(0) .. task(count - 1), each once, on the team's threads; returns when all are done.
  // thread is 0 .. size() - 1, for per-thread scratch. Tasks must not throw.
  virtual void Run(int64_t count, TaskRef task) = 0;
};

// The calling thread alone.
class SerialTeam : public Team {
 public:
  int size() const override { return 1; }
  void Run(int64_t count, TaskRef task) override {
    for (int64_t i = 0; i < count; ++i) task(i, 0);
  }
};

}  // namespace xcorr
