// SPDX-License-Identifier: Apache-2.0
// See queue.h.
#include "core/queue.h"

#include <algorithm>

namespace rgbd {

const FairQueue::Lane* FairQueue::find(const void* caller) const {
  const auto lane =
      std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& l) { return l.caller == caller; });
  return lane == lanes_.end() ? nullptr : &*lane;
}

void FairQueue::push(JobPtr job) {
  auto lane =
      std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& l) { return l.caller == job->caller; });
  if (lane == lanes_.end()) lane = lanes_.insert(lanes_.end(), Lane{job->caller, {}, 0});
  lane->jobs.push_back(std::move(job));
}

std::vector<JobPtr> FairQueue::next(size_t most) const {
  std::vector<JobPtr> batch;
  for (size_t depth = 0, added = 1; added > 0 && batch.size() < most; ++depth) {
    added = 0;
    for (const Lane& lane : lanes_) {
      if (batch.size() >= most) break;
      if (lane.jobs.size() <= depth) continue;
      const JobPtr& job = lane.jobs[depth];
      if (batch.empty()) {
        batch.push_back(job);
        ++added;
        if (job->warm_up) return batch;
        continue;
      }
      // A caller's later pair must not overtake its earlier one: only the front of what is left may join.
      const bool in_order =
          depth == 0 || std::find(batch.begin(), batch.end(), lane.jobs[depth - 1]) != batch.end();
      if (in_order && !job->warm_up && job->size == batch.front()->size) {
        batch.push_back(job);
        ++added;
      }
    }
  }
  return batch;
}

void FairQueue::take(const std::vector<JobPtr>& jobs) {
  for (const JobPtr& job : jobs) remove(*job);
  if (jobs.empty()) return;
  // Whoever was served goes to the end; the others keep their order.
  auto served = [&](const Lane& lane) {
    return std::any_of(jobs.begin(), jobs.end(),
                       [&](const JobPtr& job) { return job->caller == lane.caller; });
  };
  std::stable_partition(lanes_.begin(), lanes_.end(), [&](const Lane& lane) { return !served(lane); });
}

void FairQueue::released(const Job& job) {
  const auto lane =
      std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& l) { return l.caller == job.caller; });
  if (lane == lanes_.end()) return;
  --lane->taken;
  if (lane->taken == 0 && lane->jobs.empty()) lanes_.erase(lane);
}

bool FairQueue::remove(const Job& job) {
  for (Lane& lane : lanes_) {
    const auto at =
        std::find_if(lane.jobs.begin(), lane.jobs.end(), [&](const JobPtr& j) { return j.get() == &job; });
    if (at == lane.jobs.end()) continue;
    lane.jobs.erase(at);
    ++lane.taken;
    return true;
  }
  return false;
}

bool FairQueue::empty() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.jobs.empty(); });
}

size_t FairQueue::waiting(const void* caller) const {
  const Lane* lane = find(caller);
  return lane ? lane->jobs.size() : 0;
}

size_t FairQueue::held(const void* caller) const {
  const Lane* lane = find(caller);
  return lane ? lane->jobs.size() + lane->taken : 0;
}

}  // namespace rgbd
