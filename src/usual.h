// Compiled once for all of a library's files: what most of them include anyway, and nothing of ours. No file may rely on it: each includes what it uses,
// and is built without this by `meson setup -Db_pch=false` (which is also for who has
// ccache) and read without it by `tools/check --lint`.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
