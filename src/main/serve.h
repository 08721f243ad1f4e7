#pragma once
// `entrepot serve`: threads, signals and the life of one Box.

#include "entrepot/rules/config.h"

#include <string>

namespace entrepot {

struct ServeOptions {
    std::string config_file;  ///< "" or missing default file: built-in defaults
    bool config_file_given = false;
    std::vector<std::string> listen;
    std::vector<std::string> admin;
    std::string store, sysfs = "/sys";
    std::optional<unsigned> shards;
    bool check_only = false;
};

/// Returns the process's exit status: 0 ended in order, 1 refused or failed (one line said why).
int serve(const ServeOptions& options);

/// The configuration that `options` amount to; the error is one line.
Result<Config, std::string> load_config(const ServeOptions& options);

}  // namespace entrepot
