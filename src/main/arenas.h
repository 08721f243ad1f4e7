#pragma once
// jemalloc's arenas, made before the threads that will use them.

namespace entrepot {

/// An arena for each of so many threads to come, up to jemalloc's own bound (opt.narenas), beyond which threads share. False when there is no memory for them.
/// jemalloc 5.3.0 makes a thread's arena at its first allocation, and where that fails it follows a null pointer (tcache.c, tsd_tcache_data_init) instead of
/// refusing the allocation. A thread that finds an arena nobody uses makes none.
bool make_arenas(unsigned threads) noexcept;

}  // namespace entrepot
