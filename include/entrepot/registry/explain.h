#pragma once
// What would become of a pull, without pulling: which rule takes it and why, where it leads, and what of it is here. Nothing is changed and nobody is asked, so that the
// answer holds for the next request and costs none.

#include "entrepot/cache/source.h"
#include "entrepot/rules/rule_explanation.h"
#include "entrepot/store/ledger.h"

#include <optional>
#include <string>

namespace entrepot {

/// How clients come: by a path that a rule's target covers; with `?ns=`, as containerd does; or with a bare path that means the default login server, as Docker does with
/// its mirrors.
enum class ClientStyle : std::uint8_t { target, ns, root };
std::string_view name_of(ClientStyle style) noexcept;
std::optional<ClientStyle> parse_client_style(std::string_view text) noexcept;

/// The request that a client of that style would send for a reference.
struct Subject {
    ClientStyle style = ClientStyle::target;
    std::string repository;  ///< the path, without /v2/
    std::string ns;
    std::string tag;  ///< "latest" when the reference has neither; empty when it has a digest
    std::optional<Digest> digest;

    std::string resource() const { return digest ? digest->text() : tag; }
};

/// `reference`: [HOST/]PATH[:TAG][@DIGEST]. For `target` the path is ours, and a leading HOST:PORT is this server's; for `ns` and `root` it is what a user types behind `pull`.
/// `ns`: given apart; then PATH is all of the reference. The error is one line.
Result<Subject, std::string> subject_of(std::string_view reference, ClientStyle style, std::string_view ns);

/// What is here for a subject, as far as this repository was granted it.
struct StoredImage {
    static constexpr std::size_t blobs_max = 10'000;  ///< looked at; further ones are not counted

    std::optional<TagRecord> tag;
    std::optional<Digest> manifest;  ///< what the tag points to, or what was asked for
    std::string media_type;
    std::uint64_t size = 0;
    bool manifest_present = false;
    std::uint64_t blobs_present = 0, blobs_missing = 0, bytes = 0;  ///< of what the manifest is made of
};

/// Blocking reads: for a lane.
StoredImage find_stored(const Ledger& ledger, const Holder& holder, const Subject& subject);

}  // namespace entrepot
