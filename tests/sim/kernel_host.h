#pragma once
// Where a kernel program of sim_kernel_test.cpp runs: on the real ring (kernel_host_real.cpp) or, under many seeds, on the simulated one (kernel_host_sim.cpp).
// One program and one set of expectations: that is how the simulator is kept honest.

#include "entrepot/io/await.h"

namespace entrepot::sim {

class KernelHost {
  public:
    virtual ~KernelHost() = default;
    /// A descriptor of an empty directory; on the real kernel its file system knows O_DIRECT.
    virtual int root() = 0;
    /// A descriptor of an empty directory on a file system of 64 KiB, or -1 where none can be made.
    virtual int small_root() = 0;
    virtual bool simulated() const = 0;
};

using KernelProgram = Task<void> (*)(KernelHost& host);

/// Runs the program to its end (as often as the host finds instructive) and checks that it left no descriptor or operation behind.
void run_on_kernel(KernelProgram program);

}  // namespace entrepot::sim
