#pragma once
// What an image runs on, as indexes, image configs and rules name it: "linux/amd64", "linux/arm64/v8". Pure.
//
// Names are compared as containerd does: lower case, x86_64 is amd64, aarch64 is arm64, armhf and armel are arm; arm64 without a variant is v8, arm without one
// v7, amd64 without one v1. A platform without a variant covers every variant.

#include <string>
#include <string_view>

namespace entrepot {

struct Platform {
    std::string os, architecture, variant;

    /// Of the three words as a document has them; what they mean is the same however they are written.
    static Platform of(std::string_view os, std::string_view architecture, std::string_view variant);
    /// Of a text that is_platform() accepts.
    static Platform parse(std::string_view text);

    /// Nobody said: no platform, or "unknown/unknown" as attestations have it.
    bool unknown() const noexcept { return os.empty() || os == "unknown"; }
    bool covers(const Platform& other) const noexcept;
    std::string text() const;  ///< "linux/arm64/v8"; the variant when there is one

    friend bool operator==(const Platform&, const Platform&) = default;
};

}  // namespace entrepot
