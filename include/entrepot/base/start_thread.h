#pragma once
// A thread, or the end of the program in one line: a server with some of its threads serves nobody, and those that run cannot be called back.

#include "entrepot/base/log.h"

#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

namespace entrepot {

template <typename Function>
std::thread start_thread(Function function) {
    try {
        return std::thread(std::move(function));
    } catch (const std::system_error& refused) {
        log_error(
            "cannot start a thread: {}; raise TasksMax, LimitNPROC (ulimit -u) or the memory limit, or lower [server] shards",
            refused.code().message());
        std::_Exit(1);
    }
}

}  // namespace entrepot
