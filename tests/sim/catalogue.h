#pragma once
// What the simulated upstream holds, and therefore the truth that every answer is compared with: repositories, blobs at sizes where things go wrong, image manifests
// over them, and tags that move. Made from a seed.

#include "entrepot/oci/digest.h"

#include "random.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace entrepot::sim {

struct Content {
    Digest digest;
    std::string bytes;
    std::string media_type;  ///< of a manifest; empty for a blob
    bool is_manifest() const { return !media_type.empty(); }
};

struct Repository {
    std::string name;
    std::set<std::string> blobs, manifests;                    ///< digest texts
    std::map<std::string, std::string> tags;                   ///< now: tag -> digest text
    std::map<std::string, std::set<std::string>> tag_history;  ///< everything a tag ever pointed to
};

class Catalogue {
  public:
    struct Options {
        unsigned repositories_max = 3;
        unsigned blobs_max = 12;
        std::uint64_t blob_bytes_max = 1'200'000;
    };
    Catalogue(Random random, const Options& options);

    const Content* find(const std::string& digest) const;
    std::vector<Repository>& repositories() { return repositories_; }
    const std::vector<Repository>& repositories() const { return repositories_; }
    /// By how many names a manifest can be asked for: its digest and the tags that ever pointed to it, per repository.
    std::uint64_t names_of(const std::string& digest) const;
    Repository* find_repository(const std::string& name);
    /// A tag of some repository moves to another of its manifests.
    void move_a_tag(Random& random);
    /// Where the tags point and pointed, as text, and back: they outlive a process.
    std::string save_tags() const;
    void load_tags(std::string_view saved);
    /// A well-formed digest that nobody has.
    static std::string unknown_digest(Random& random);

  private:
    std::string add(std::string bytes, std::string media_type, DigestAlgorithm algorithm);
    void add_manifests(Repository& repository, Random& random);

    std::map<std::string, Content> contents_;
    std::vector<Repository> repositories_;
};

}  // namespace entrepot::sim
