#pragma once
// What a load asks for: a URL, or an image whose manifests name what else to ask for. Only addresses that the user wrote down
// are ever in one.

#include "entrepot/base/result.h"
#include "entrepot/http/url.h"
#include "entrepot/oci/digest.h"

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::load {

/// How texts are read that leave a choice.
struct TargetHabits {
    bool as_url = false;      ///< a manifest's URL is just a URL
    bool plain_http = false;  ///< HOST/NAME:TAG means http://, also where the host is not this machine
    bool tls = false;         ///< HOST/NAME:TAG means https://, also where the host is this machine
    std::string ns;           ///< added as `?ns=` to every registry request that brings none
};

struct Target {
    std::string text;  ///< as the user wrote it
    Url url;           ///< of an image: where its manifest is
    bool is_image = false;
    std::string repository, reference;  ///< of an image; the reference is a tag or a digest
    std::string ns;                     ///< the value of `ns`, decoded, or empty
    std::optional<Digest> digest;       ///< what a URL's path promises about the body
};

/// `http://HOST:PORT/...`, `HOST:PORT/NAME:TAG`, `HOST:PORT/NAME@sha256:...`. The error is one line.
Result<Target, std::string> parse_target(std::string_view text, const TargetHabits& habits);

}  // namespace entrepot::load
