#pragma once
// Short questions to the services around registries (token realms, vaults, authorities of identities) over the same pooled and verified connections: a request, and
// the whole answer, of 64 KiB at most. No redirect is ever followed, so what a question carries goes nowhere else.

#include "entrepot/http/challenge.h"
#include "upstream/pool.h"

#include <string>
#include <vector>

namespace entrepot {

/// Carries secrets: wiped with it.
struct DocumentRequest {
    Url url;
    std::string method = "GET";
    std::string fields;  ///< whole header lines
    std::string form;    ///< the body; with it a POST of `form_type`
    std::string form_type = "application/x-www-form-urlencoded";

    DocumentRequest() = default;
    explicit DocumentRequest(Url where) : url(std::move(where)) {}
    DocumentRequest(const DocumentRequest&) = default;
    DocumentRequest(DocumentRequest&&) = default;
    DocumentRequest& operator=(const DocumentRequest&) = default;
    DocumentRequest& operator=(DocumentRequest&&) = default;
    ~DocumentRequest();

    void add_field(std::string_view name, std::string_view value);
    /// One of the form, encoded; makes it a POST.
    void add_to_form(std::string_view name, std::string_view value);
};

struct ServiceDocument {
    int status = 0;
    std::string text;
    std::vector<Challenge> challenges;  ///< of a 401
    std::optional<seconds> retry_after;

    ServiceDocument() = default;
    ServiceDocument(ServiceDocument&&) = default;
    ServiceDocument& operator=(ServiceDocument&&) = default;
    ~ServiceDocument();
};

using DocumentAnswer = Result<ServiceDocument, UpstreamFailure>;

class Documents {
  public:
    explicit Documents(ConnectionPool& pool) noexcept : pool_(pool) {}

    /// `place`: by whose policy. Any status is an answer; a failure is that there was none.
    Task<DocumentAnswer> ask(const UpstreamState& place, DocumentRequest request);

  private:
    Task<Result<std::unique_ptr<UpstreamConnection>, UpstreamFailure>> send(const UpstreamState& place,
                                                                            const DocumentRequest& request);

    ConnectionPool& pool_;
};

/// Retry-After, as far as we obey it.
std::optional<seconds> obeyed_retry_after(std::string_view field);

}  // namespace entrepot
