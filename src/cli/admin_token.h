#pragma once
// The token that lets us change things over TCP, and the rules of where it comes from: never from the arguments, which everybody
// on the machine can read, and never from a file that others can read.

#include "cli/failure.h"

#include <optional>
#include <string>

namespace entrepot::cli {

struct TokenPlaces {
    std::optional<std::string> value;  ///< ENTREPOT_TOKEN
    std::optional<std::string> file;   ///< ENTREPOT_TOKEN_FILE
    std::string default_file = "/var/lib/entrepot/admin.token";
};

struct AdminToken {
    std::string value;         ///< empty: there is none
    bool of_this_box = false;  ///< from the default file: it belongs to the server of this machine and is sent to no other
    unsigned owner = 0;        ///< user id of that file, hence of that server
    std::string why_none;      ///< a clause for people: "/var/lib/entrepot/admin.token cannot be read (Permission denied)"
};

/// The first place that is named counts, and must then hold a token; the default file may be absent or out of reach.
Outcome<AdminToken> choose_token(const TokenPlaces& places);

/// The first line of a file that belongs to its owner alone; for passwords as well. `what` is for the message: "the token file".
Outcome<std::string> read_secret_file(const std::string& path, std::string_view what, unsigned* owner = nullptr);

}  // namespace entrepot::cli
