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

// The lane's first job and whatever can join it, in turn from every caller.
std::vector<JobPtr> FairQueue::batch_of(const Lane& first, size_t most) const {
  std::vector<JobPtr> batch{first.jobs.front()};
  if (batch.front()->warm_up) return batch;
  auto has = [&](const JobPtr& job) { return std::find(batch.begin(), batch.end(), job) != batch.end(); };
  for (size_t depth = 0, joined = 1; joined > 0 && batch.size() < most; ++depth) {
    joined = 0;
    for (const Lane& lane : lanes_) {
      if (lane.jobs.size() <= depth) continue;
      const JobPtr& job = lane.jobs[depth];
      if (has(job)) {
        ++joined;
        continue;
      }
      if (batch.size() >= most) break;
      // A caller's later pair must not overtake its earlier one: only the front of what is left may join.
      const bool in_order = depth == 0 || has(lane.jobs[depth - 1]);
      if (in_order && !job->warm_up && job->size == batch.front()->size) {
        batch.push_back(job);
        ++joined;
      }
    }
  }
  return batch;
}

FairQueue::Batch FairQueue::next(size_t most, Clock::duration patience, size_t callers,
                                 Clock::time_point now) const {
  const auto wait = static_cast<size_t>(
      std::count_if(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return !lane.jobs.empty(); }));
  const bool can_fill = wait < callers;  // somebody is left who could submit a pair
  Batch next;
  for (const Lane& lane : lanes_) {
    if (lane.jobs.empty()) continue;
    Batch batch{batch_of(lane, most), Clock::time_point::min()};
    if (can_fill && batch.jobs.size() < most && !batch.jobs.front()->warm_up) {
      const auto oldest =
          std::min_element(batch.jobs.begin(), batch.jobs.end(),
                           [](const JobPtr& a, const JobPtr& b) { return a->submitted < b->submitted; });
      batch.due = (*oldest)->submitted + patience;
    }
    if (batch.due <= now) return batch;
    if (next.jobs.empty() || batch.due < next.due) next = std::move(batch);
  }
  return next;
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
