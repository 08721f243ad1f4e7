#pragma once
// A certificate authority for tests: makes servers' certificates, good ones and each kind of bad one, as PEM files in a directory of its own.

#include <string>
#include <vector>

namespace entrepot {

struct CertificateFiles {
    std::string certificate, key;
};

struct CertificateWish {
    std::string common_name = "registry.test";
    std::vector<std::string> dns_names;  ///< any bytes
    std::vector<std::string> addresses;  ///< raw: 4 or 16 bytes
    std::string from = "20200101000000", to = "20491231235959";
    unsigned rsa_bits = 0;  ///< 0: a P-256 key
    bool sha1 = false;
    bool for_clients = false;  ///< extended key usage names clients only
    bool self_signed = false;
};

class TestAuthority {
  public:
    TestAuthority();
    /// Removes its directory.
    ~TestAuthority();
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;

    const std::string& directory() const { return directory_; }
    /// The authority's own certificate: what a client trusts.
    const std::string& ca_file() const { return ca_file_; }
    CertificateFiles issue(const CertificateWish& wish);
    /// A further file in the directory.
    std::string write(const std::string& name, const std::string& content);

  private:
    struct Keys;
    std::string directory_, ca_file_;
    Keys* keys_;
    int issued_ = 0;
};

}  // namespace entrepot
