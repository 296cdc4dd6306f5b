// SPDX-License-Identifier: Apache-2.0
// Lets torch's OpenMP threads wait asleep.
#pragma once

namespace rgbd {

/// By default OpenMP's threads spin for milliseconds after each parallel region, and a pipeline's other
/// threads then stop the network: with two cores that have other work a pair took five times as long. Here
/// and not by OMP_WAIT_POLICY: the runtime reads that once, when torch is loaded, and a library may not
/// change the environment of a program with threads. Call on each thread that runs torch, before it does.
/// Does nothing where the user chose (OMP_WAIT_POLICY, GOMP_SPINCOUNT, KMP_BLOCKTIME) or the runtime is not
/// known.
void let_openmp_sleep();

}  // namespace rgbd
