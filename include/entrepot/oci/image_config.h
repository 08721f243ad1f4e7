#pragma once
// What an image's config says of where it runs. Everything else in it is the image's own affair.

#include <string>
#include <string_view>

namespace entrepot {

struct ImagePlatform {
    std::string os, architecture, variant;  ///< empty when it does not say, or is no config
};

/// Pure. Stops reading once all three were seen.
ImagePlatform parse_image_config(std::string_view json);

}  // namespace entrepot
