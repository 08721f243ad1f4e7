#pragma once
// A run from start to end: workers on their threads, one common start, the measured window, and what came of it.

#include "load/plan.h"
#include "load/report.h"

namespace entrepot::load {

/// Blocks until the load is over. SIGINT and SIGTERM end it early, with what was measured so far. The error is one line.
Result<Report, std::string> run_load(const Plan& plan);

}  // namespace entrepot::load
