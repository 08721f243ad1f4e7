#include "upstream/trust.h"

#include "entrepot/base/log.h"

namespace entrepot {

void Trust::renew() {
    auto before = current();
    auto loaded = TlsClientContext::load(ca_file_);
    auto why = loaded ? std::string() : loaded.error();
    // The system's store is allowed to be missing at first; once there was one, nobody meant to trust nobody.
    if (loaded && (*loaded)->trusted().empty() && !before->trusted().empty()) why = "the system's trust store is gone or empty";
    if (!why.empty())
        return log_warning(
            "a CA file is not taken: {}; its former certificates are trusted as before; mend it and send SIGHUP again", why);
    if ((*loaded)->trusted() == before->trusted()) return;
    std::lock_guard guard(lock_);
    context_ = *std::move(loaded);
    log_info("{} changed: new connections trust what it holds now",
             ca_file_.empty() ? std::string("the system's trust store") : "ca_file " + ca_file_);
}

}  // namespace entrepot
