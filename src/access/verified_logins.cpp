#include "entrepot/access/verified_logins.h"

#include <sodium.h>

#include <cstring>

namespace entrepot {
namespace {

void add(crypto_generichash_state& state, std::string_view text) noexcept {
    auto length = static_cast<std::uint64_t>(text.size());  // else "a" and "bc" would be "ab" and "c"
    ::crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&length), sizeof length);
    ::crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

}  // namespace

VerifiedLogins::VerifiedLogins(const Options& options) : options_(options), key_(make_token_key()) {}

VerifiedLogins::~VerifiedLogins() { ::sodium_memzero(key_.data(), key_.size()); }

VerifiedLogins::Proof VerifiedLogins::proof_of(std::string_view hash, std::string_view password) const noexcept {
    crypto_generichash_state state;
    Proof proof;
    ::crypto_generichash_init(&state, reinterpret_cast<const unsigned char*>(key_.data()), key_.size(), proof.size());
    add(state, hash);
    add(state, password);
    ::crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(proof.data()), proof.size());
    ::sodium_memzero(&state, sizeof state);
    return proof;
}

bool VerifiedLogins::knows(const Proof& proof, Instant now) const noexcept {
    auto found = until_.find(proof);
    return found != until_.end() && now < found->second;
}

void VerifiedLogins::remember(const Proof& proof, Instant now) {
    auto until = now + options_.life;
    auto [place, added] = until_.try_emplace(proof, until);
    if (!added) {
        place->second = until;
        return;
    }
    in_order_.push_back(proof);
    if (in_order_.size() <= options_.entries_max) return;
    until_.erase(in_order_.front());
    in_order_.pop_front();
}

std::size_t VerifiedLogins::ProofHash::operator()(const Proof& proof) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, proof.data(), sizeof hash);
    return hash;
}

}  // namespace entrepot
