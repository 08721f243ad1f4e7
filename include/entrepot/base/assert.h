#pragma once
// ASSERT guards our own invariants and stays on in release builds. It never guards what a socket, a disk or a
// configuration file said: those yield an Error (error.h). A broken invariant prints where it broke, lets the
// shard describe itself (set_assert_witness), and aborts.

namespace entrepot {

[[noreturn]] void assert_failed(const char* condition, const char* file, int line) noexcept;

/// Called once, on the failing thread, before the abort. It must not allocate much and must not assert.
void set_assert_witness(void (*witness)()) noexcept;

}  // namespace entrepot

#define ASSERT(condition) \
    (__builtin_expect(static_cast<bool>(condition), 1) ? void(0) : ::entrepot::assert_failed(#condition, __FILE__, __LINE__))
