#pragma once
// What happens when memory cannot be had: the program says so in one line and ends (docs/decisions/0013-who-is-out-of-memory-ends.md). What clients can make us hold is bounded
// long before that; what is left is a machine, a container or a limit without room for a server at all.

namespace entrepot {

/// What a failing operator new does in every program that links this. Says it and ends the process with status 1. Allocates nothing and runs no destructor: what is stored stays as whole as after `kill -9`.
[[noreturn]] void end_out_of_memory() noexcept;

}  // namespace entrepot
