// The process's threads: one team that runs steps together, and runners that take whole network runs off the JavaScript thread.
// None of them is libuv's; all of them sleep when there is nothing to do.
#pragma once
#include <functional>
#include <memory>

#include "team.h"

namespace xcorr {

// Borrows the process's team for the length of a run. If another run has it, or threads is 1, the calling thread works alone: the
// results are the same, and two requests side by side finish sooner than one after the other.
class TeamLease {
 public:
  explicit TeamLease(int threads);
  ~TeamLease();
  TeamLease(const TeamLease&) = delete;
  TeamLease& operator=(const TeamLease&) = delete;
  Team& team() { return *team_; }
  // Threads of all leases of the process at this moment.
  static int Busy();

 private:
  SerialTeam serial_;
  Team* team_;  // the process's, or serial_
};

// Runs the job on a runner thread, first come first served; here and now if the system has no thread to give. Then calls `report` from there, as
// soon as the thread is free for the next.
void Submit(std::function<void()> run, std::function<void()> report);

}  // namespace xcorr
