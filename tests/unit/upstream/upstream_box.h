#pragma once
// A loop with the upstreams of one shard on it, and exchanges with them read to their ends.

#include "entrepot/io/blocking.h"
#include "entrepot/upstream/upstream.h"

#include "support/run_task.h"
#include "upstream/scripted_server.h"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace entrepot {

/// The threads of blocking work, for as long as a test needs them.
struct Lanes {
    Lanes() { start_lanes(); }
    ~Lanes() { stop_lanes(); }
};

/// Secrets in files that only we may read.
class SecretFiles {
  public:
    SecretFiles() {
        char name[] = "/tmp/entrepot-secrets-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~SecretFiles() {
        for (auto& path : written_) ::unlink(path.c_str());
        ::rmdir(directory_.c_str());
    }
    /// Returns the reference.
    std::string write(const std::string& name, const std::string& content, mode_t mode = 0600) {
        auto path = directory_ + "/" + name;
        std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
        ::chmod(path.c_str(), mode);
        written_.push_back(path);
        return "file:" + path;
    }
    const std::string& directory() const { return directory_; }

  private:
    std::string directory_;
    std::vector<std::string> written_;
};

/// How an exchange went.
struct Exchanged {
    std::optional<UpstreamFailure> failure;
    int status = 0;
    std::string body;
    std::optional<Error> body_error;
    std::optional<std::uint64_t> content_length, total_length;
    std::uint64_t range_start = 0;
    std::string content_type, digest, link, filters;
    std::size_t endpoint = 0;

    bool good() const { return !failure && !body_error; }
    Code code() const { return failure ? failure->error.code : body_error ? body_error->code : Code::stopping; }
    std::string why() const { return failure ? failure->why : std::string(); }
};

class UpstreamBox {
  public:
    static constexpr const char* login_server = "registry.test";

    struct Plan {
        std::vector<std::string> endpoints;
        std::vector<std::string> realms;
        std::string ca_file;
        bool allow_private = true;
        bool with_credential = false;
        std::vector<UpstreamSpec> others{};
        std::string user = "lab", password = "correct-horse";
        UpstreamTable::Options options;
    };

    explicit UpstreamBox(Plan plan) {
        UpstreamSpec spec;
        spec.login_server = login_server;
        spec.endpoints = plan.endpoints;
        spec.realms = plan.realms;
        spec.ca_file = plan.ca_file;
        spec.allow_private = plan.allow_private;
        if (plan.with_credential) credential = credential_set("set0", plan.user, plan.password);
        auto specs = plan.others;
        specs.insert(specs.begin(), spec);
        auto made = UpstreamTable::make(specs, plan.options);
        if (!made) FAIL(made.error());
        table = std::move(*made);
        upstreams = Upstreams::make(*table);
        table->set_home(*loop);
    }
    ~UpstreamBox() {
        if (!closed_) close();
    }
    void close() {
        closed_ = true;
        loop.run(upstreams->close());
        upstreams.reset();
    }

    /// A credential set whose secrets are the files "user" and "password".
    CredentialPointer credential_set(const std::string& name, const std::string& user, const std::string& password) {
        auto user_reference = files.write("user", user + "\n");
        auto password_reference = files.write("password", password + "\n");
        return credential_set(name, {{user_reference, password_reference}});
    }
    /// Of one or two pairs of references.
    static CredentialPointer credential_set(const std::string& name,
                                            const std::vector<std::pair<std::string, std::string>>& pairs) {
        CredentialSpec spec;
        spec.name = spec.scope = name;
        spec.login_server = login_server;
        for (auto& [user, password] : pairs)
            spec.logins.push_back({*parse_secret_reference(user), *parse_secret_reference(password)});
        return Credential::make(std::move(spec));
    }
    static CredentialPointer identity(const std::string& text) {
        CredentialSpec spec;
        spec.name = spec.scope = identity_credential_name(text, login_server);
        spec.login_server = login_server;
        spec.identity = *parse_identity_reference(text);
        return Credential::make(std::move(spec));
    }
    std::vector<CredentialHealth> check() {
        auto checking = upstreams->check(*table->find(login_server), credential);
        return loop.run(std::move(checking));
    }

    UpstreamRequest request(const std::string& resource = "blobs/sha256:00", UpstreamKind kind = UpstreamKind::blob) const {
        UpstreamRequest request;
        request.upstream = table->find(login_server);
        request.credential = credential;
        request.kind = kind;
        request.repository = "lab/app";
        request.resource = resource;
        return request;
    }

    Task<Exchanged> exchange(UpstreamRequest request) {
        Exchanged result;
        auto answer = co_await upstreams->ask(std::move(request));
        if (!answer) {
            result.failure = answer.error();
            co_return result;
        }
        auto exchange = *std::move(answer);
        result.status = exchange->status();
        result.content_length = exchange->content_length();
        result.total_length = exchange->total_length();
        result.range_start = exchange->range_start();
        result.content_type = exchange->content_type();
        result.digest = exchange->docker_content_digest();
        result.link = exchange->link();
        result.filters = exchange->filters_applied();
        result.endpoint = exchange->endpoint();
        std::vector<std::byte> piece(7000);
        for (;;) {
            auto got = co_await exchange->read(piece);
            if (!got) result.body_error = got.error();
            if (!got || *got == 0) break;
            result.body += text_of(Bytes(piece).first(*got));
        }
        co_await exchange->finish();
        co_return result;
    }

    Exchanged ask(UpstreamRequest wanted) { return loop.run(exchange(std::move(wanted)), seconds(60)); }
    Exchanged ask(const std::string& resource = "blobs/sha256:00", UpstreamKind kind = UpstreamKind::blob) {
        return ask(request(resource, kind));
    }

    /// All at once; returns when the last has ended.
    std::vector<Exchanged> ask_together(std::vector<UpstreamRequest> wanted) {
        std::vector<Exchanged> results(wanted.size());
        TaskGroup group;
        for (std::size_t i = 0; i < wanted.size(); ++i) group.start(exchange_into(std::move(wanted[i]), results[i]));
        loop.finish(group, seconds(60));
        return results;
    }
    Task<void> exchange_into(UpstreamRequest wanted, Exchanged& result) { result = co_await exchange(std::move(wanted)); }

    SecretFiles files;
    Lanes lanes;
    TestLoop loop;
    std::unique_ptr<UpstreamTable> table;
    std::unique_ptr<Upstreams> upstreams;
    CredentialPointer credential;  ///< of every request; null: anonymous

  private:
    bool closed_ = false;
};

}  // namespace entrepot
