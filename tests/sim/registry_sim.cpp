#include "registry_sim.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::sim {
namespace {

constexpr const char* registry_ip = "93.184.1.1";
constexpr const char* tokens_ip = "93.184.1.2";
constexpr const char* contents_ip = "93.184.1.3";
constexpr const char* host_names[] = {SimRegistry::login_server, "tokens.sim", "contents.sim"};
constexpr const char* good_token = "simulated-token";

double drawn(Random& random, double high) { return random.chance(0.25) ? random.fraction() * high : 0; }

std::string_view reason_of(int status) {
    switch (status) {
        case 200: return "OK";
        case 206: return "Partial Content";
        case 307: return "Temporary Redirect";
        case 401: return "Unauthorized";
        case 404: return "Not Found";
        case 416: return "Range Not Satisfiable";
        case 429: return "Too Many Requests";
        default: return "Server Error";
    }
}

std::string status_line(int status) { return fmt::format("HTTP/1.1 {} {}\r\n", status, reason_of(status)); }

/// The first byte of "bytes=N-"; nothing for any other form.
std::optional<std::uint64_t> range_start(const std::string& value) {
    if (value.rfind("bytes=", 0) != 0 || value.back() != '-') return std::nullopt;
    return std::strtoull(value.c_str() + 6, nullptr, 10);
}

}  // namespace

UpstreamFaults UpstreamFaults::draw(Random& random, bool harmful) {
    UpstreamFaults faults;
    faults.slow = drawn(random, 0.5);
    faults.chunked = drawn(random, 1);
    faults.until_close = drawn(random, 0.3);
    faults.tokens = random.chance(0.5);
    faults.redirects = random.chance(0.4);
    faults.scarce = drawn(random, 1);
    if (!harmful) return faults;
    faults.cut = drawn(random, 0.5);
    faults.reset = drawn(random, 0.5);
    faults.corrupt = drawn(random, 0.5);
    faults.promises_more = drawn(random, 0.3);
    faults.sends_less = drawn(random, 0.3);
    faults.stall = drawn(random, 0.2);
    faults.hang = drawn(random, 0.2);
    faults.server_error = drawn(random, 0.5);
    faults.too_many = drawn(random, 0.3);
    faults.garbage = drawn(random, 0.2);
    faults.wrong_digest_header = drawn(random, 0.3);
    faults.ignores_range = drawn(random, 1);
    return faults;
}

bool UpstreamFaults::harmful() const {
    return cut + reset + corrupt + promises_more + sends_less + stall + hang + server_error + too_many + garbage +
               wrong_digest_header >
           0;
}

SimRegistry::SimRegistry(World& world, Catalogue& catalogue, const UpstreamFaults& faults)
    : world_(world), catalogue_(catalogue), faults_(faults),
      random_(world.random.fork()), sites_{{*this, Host::registry}, {*this, Host::tokens}, {*this, Host::contents}} {
    constexpr const char* ips[] = {registry_ip, tokens_ip, contents_ip};
    for (int i = 0; i < 3; ++i) {
        world.names[host_names[i]] = {ips[i]};
        servers_[i] = std::make_unique<Server>(address_of(ips[i], 80), &SimRegistry::serve, &sites_[i]);
    }
}

void SimRegistry::stop() {
    for (auto& server : servers_) server->stop();
}

Task<void> SimRegistry::close() {
    for (auto& server : servers_) co_await server->close();
}

Task<void> SimRegistry::serve(void* context, std::unique_ptr<Wire> wire) {
    auto& site = *static_cast<Site*>(context);
    auto& self = site.registry;
    bool keep = true;
    while (keep) {
        // Idle connections go whenever the upstream likes, also while a request is on its way.
        auto idle = Loop::current().time() + self.random_.span(seconds(1), seconds(100));
        auto text = co_await wire->take_until("\r\n\r\n", idle);
        if (!text) break;
        auto head = Head::parse(*text);
        if (!head) violation("the upstream received a malformed request: " + *text);
        auto first_space = head->first_line.find(' ');
        auto last_space = head->first_line.rfind(' ');
        if (first_space == last_space || head->first_line.substr(last_space + 1) != "HTTP/1.1")
            violation("the upstream received: " + head->first_line);
        auto method = head->first_line.substr(0, first_space);
        auto target = head->first_line.substr(first_space + 1, last_space - first_space - 1);
        self.check_request(site.host, *head);
        if (self.world_.verbose)
            fmt::print(stderr, "             upstream is asked {} {}{}\n", host_names[static_cast<int>(site.host)],
                       head->first_line, head->has("range") ? " with a range" : "");
        keep = co_await self.answer(site.host, *wire, method, target, *head);
    }
    if (wire->is_open()) wire->close();
}

void SimRegistry::check_request(Host host, const Head& head) const {
    if (head.fields.count("host") != 1 || head.field("host") != host_names[static_cast<int>(host)])
        violation("the upstream received Host: " + head.field("host"));
    if (head.has(client_secret)) violation("a client's header reached the upstream");
    if (host == Host::contents && head.has("authorization")) violation("a token followed a redirect");
    if (head.has("content-length") || head.has("transfer-encoding")) violation("a request without body announces one");
}

Task<bool> SimRegistry::answer(Host host, Wire& wire, std::string method, std::string target, Head head) {
    auto deadline = Loop::current().time() + std::chrono::minutes(5);
    if (random_.chance(faults_.hang)) {
        world_.count_injected("upstream: no answer");
        bool more = true;
        while (more) more = co_await wire.fill(deadline);
        co_return false;
    }
    if (random_.chance(faults_.garbage)) {
        world_.count_injected("upstream: no HTTP");
        co_await wire.send("SSH-2.0-OpenSSH_9.2\r\n\r\n", deadline);
        co_return false;
    }
    if (random_.chance(faults_.slow)) co_await Sleep(random_.span(milliseconds(0), milliseconds(900)));
    if (random_.chance(faults_.server_error)) {
        constexpr int statuses[] = {500, 502, 503, 504};
        world_.count_injected("upstream: 5xx");
        bool kept = co_await answer_status(wire, random_.pick(statuses), {}, method != "HEAD");
        co_return kept;
    }
    if (random_.chance(faults_.too_many)) {
        world_.count_injected("upstream: 429");
        auto retry = random_.chance(0.5) ? fmt::format("Retry-After: {}\r\n", random_.below(5)) : std::string();
        bool kept = co_await answer_status(wire, 429, retry, method != "HEAD");
        co_return kept;
    }
    if (host == Host::tokens) {
        bool kept = co_await answer_token(wire, head);
        co_return kept;
    }
    if (host == Host::registry) {
        bool kept = co_await answer_registry(wire, method, target, head);
        co_return kept;
    }
    auto* content = catalogue_.find(target.substr(1, target.find('?') - 1));
    if (!content) violation("the content host was asked for " + target);
    bool kept = co_await answer_content(wire, method, *content, head);
    co_return kept;
}

Task<bool> SimRegistry::answer_token(Wire& wire, const Head& head) {
    if (head.has("authorization")) violation("an anonymous rule sent credentials to the token server");
    Body body;
    body.bytes = fmt::format(R"({{"token":"{}","expires_in":{}}})", good_token, random_.between(60, 300));
    body.head = status_line(200) + fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.bytes.size());
    bool kept = co_await send_body(wire, std::move(body));
    co_return kept;
}

const Content* SimRegistry::find_content(const Repository& repository, std::string_view kind,
                                         const std::string& reference) const {
    if (kind == "blobs") return repository.blobs.contains(reference) ? catalogue_.find(reference) : nullptr;
    if (kind != "manifests") return nullptr;  // this registry knows no referrers: 404, and the tag schema is tried
    auto tag = repository.tags.find(reference);
    auto digest = tag != repository.tags.end() ? tag->second : reference;
    return repository.manifests.contains(digest) ? catalogue_.find(digest) : nullptr;
}

Task<bool> SimRegistry::answer_registry(Wire& wire, const std::string& method, const std::string& target, const Head& head) {
    bool with_body = method != "HEAD";
    if (faults_.tokens && head.field("authorization") != std::string("Bearer ") + good_token) {
        auto challenge =
            fmt::format("WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"{}\"\r\n", host_names[1], host_names[0]);
        bool kept = co_await answer_status(wire, 401, challenge, with_body);
        co_return kept;
    }
    // /v2/<repository>/<kind>/<reference>
    auto last = target.rfind('/');
    auto before = last == 0 ? std::string::npos : target.rfind('/', last - 1);
    Repository* repository =
        before != target.npos && before > 4 ? catalogue_.find_repository(target.substr(4, before - 4)) : nullptr;
    auto kind = repository ? target.substr(before + 1, last - before - 1) : std::string();
    if (kind == "tags") {
        bool kept = co_await answer_tags(wire, *repository, with_body);
        co_return kept;
    }
    const auto* content = repository ? find_content(*repository, kind, target.substr(last + 1)) : nullptr;
    if (!content) {
        bool kept = co_await answer_status(wire, 404, {}, with_body);
        co_return kept;
    }
    if (kind == "blobs" && faults_.redirects) {
        auto location =
            fmt::format("Location: http://{}/{}?signature={}\r\n", host_names[2], content->digest.text(), random_.next());
        bool kept = co_await answer_status(wire, 307, location, with_body);
        co_return kept;
    }
    bool kept = co_await answer_content(wire, method, *content, head);
    co_return kept;
}

Task<bool> SimRegistry::answer_tags(Wire& wire, const Repository& repository, bool with_body) {
    std::string names;
    for (const auto& [tag, digest] : repository.tags) names += fmt::format("{}\"{}\"", names.empty() ? "" : ",", tag);
    auto text = fmt::format(R"({{"name":"{}","tags":[{}]}})", repository.name, names);
    Body body;
    body.head = status_line(200) + fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.size());
    if (with_body) body.bytes = text;
    bool kept = co_await send_body(wire, std::move(body));
    co_return kept;
}

Task<bool> SimRegistry::answer_status(Wire& wire, int status, std::string extra_fields, bool with_body) {
    std::string text = R"({"errors":[{"code":"SIMULATED","message":"as the seed wants"}]})";
    Body body;
    body.head = status_line(status) + extra_fields +
                fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.size());
    if (with_body) body.bytes = text;
    bool kept = co_await send_body(wire, std::move(body));
    co_return kept;
}

SimRegistry::Deed SimRegistry::draw_deed() {
    if (random_.chance(faults_.cut)) return Deed::cut;
    if (random_.chance(faults_.reset)) return Deed::reset;
    if (random_.chance(faults_.corrupt)) return Deed::corrupt;
    if (random_.chance(faults_.promises_more)) return Deed::promises_more;
    if (random_.chance(faults_.sends_less)) return Deed::sends_less;
    if (random_.chance(faults_.stall)) return Deed::stall;
    return Deed::right;
}

Task<bool> SimRegistry::answer_content(Wire& wire, const std::string& method, const Content& content, const Head& head) {
    auto& traffic = traffic_[content.digest.text()];
    auto total = content.bytes.size();
    auto start = range_start(head.field("range"));
    if (random_.chance(faults_.ignores_range)) start = std::nullopt;
    if (start && *start >= total) {
        bool kept = co_await answer_status(wire, 416, fmt::format("Content-Range: bytes */{}\r\n", total), method != "HEAD");
        co_return kept;
    }
    Body body;
    body.head = status_line(start ? 206 : 200);
    if (start) body.head += fmt::format("Content-Range: bytes {}-{}/{}\r\n", *start, total - 1, total);
    body.head += fmt::format("Content-Type: {}\r\n", content.is_manifest() ? content.media_type : "application/octet-stream");
    bool digest_lies = random_.chance(faults_.wrong_digest_header);
    if (digest_lies) world_.count_injected("upstream: digest header lies");
    auto digest = digest_lies ? Catalogue::unknown_digest(random_) : content.digest.text();
    body.head += fmt::format("Docker-Content-Digest: {}\r\n", digest);
    if (content.is_manifest() && random_.chance(faults_.scarce)) {
        world_.count_injected("upstream: little left of the rate limit");
        body.head += fmt::format("RateLimit-Remaining: {};w=21600\r\n", random_.below(10));
    }
    if (method == "HEAD") {
        ++traffic.heads;
        body.head += fmt::format("Content-Length: {}\r\n\r\n", total);
        bool kept = co_await send_body(wire, std::move(body));
        co_return kept;
    }
    body.traffic = &traffic;
    body.total = total;
    body.bytes = content.bytes.substr(start.value_or(0));
    body.deed = draw_deed();
    constexpr const char* deeds[] = {"",
                                     "upstream: body cut",
                                     "upstream: body reset",
                                     "upstream: bit flipped",
                                     "upstream: more promised",
                                     "upstream: less sent",
                                     "upstream: body stalls"};
    if (body.deed != Deed::right) world_.count_injected(deeds[static_cast<int>(body.deed)]);
    if (body.deed == Deed::corrupt && !body.bytes.empty()) {
        auto& byte = body.bytes[random_.below(body.bytes.size())];
        byte = static_cast<char>(byte ^ (1 << random_.below(8)));
    }
    if (body.deed == Deed::sends_less) body.bytes.resize(random_.below(body.bytes.size() + 1));
    auto promised = body.bytes.size() + (body.deed == Deed::promises_more ? 1 + random_.skewed(100'000) : 0);
    body.chunked = random_.chance(faults_.chunked);
    body.closes = !body.chunked && random_.chance(faults_.until_close);
    if (body.chunked) body.head += "Transfer-Encoding: chunked\r\n\r\n";
    else if (body.closes) body.head += "Connection: close\r\n\r\n";
    else body.head += fmt::format("Content-Length: {}\r\n\r\n", promised);
    ++(start.value_or(0) > 0 ? traffic.resumes : traffic.gets);
    bool kept = co_await send_body(wire, std::move(body));
    co_return kept;
}

Task<bool> SimRegistry::send_body(Wire& wire, Body body) {
    auto* traffic = body.traffic;
    if (traffic)
        world_.note("upstream sends content (deed, bytes)", static_cast<std::uint64_t>(body.deed) * 100'000'000 + body.total,
                    body.bytes.size());
    auto deadline = Loop::current().time() + std::chrono::minutes(10);
    if (traffic) traffic->running_max = std::max(traffic->running_max, ++traffic->running);
    bool sent = co_await wire.send(body.head, deadline);
    bool broken = body.deed == Deed::cut || body.deed == Deed::reset || body.deed == Deed::stall;
    auto length = broken ? random_.below(body.bytes.size() + 1) : body.bytes.size();
    if (sent) sent = co_await send_pieces(wire, std::string_view(body.bytes).substr(0, length), body.chunked);
    if (sent && body.chunked && !broken && body.deed != Deed::promises_more) sent = co_await wire.send("0\r\n\r\n", deadline);
    if (body.deed == Deed::stall) {
        bool more = true;
        while (more) more = co_await wire.fill(deadline);
    }
    if (traffic) {
        --traffic->running;
        bool whole = sent && body.deed == Deed::right;
        ++(whole ? traffic->delivered : traffic->spoiled);
    }
    if (body.deed == Deed::reset) wire.close(true);
    co_return sent&& body.deed == Deed::right && !body.closes;
}

Task<bool> SimRegistry::send_pieces(Wire& wire, std::string_view bytes, bool chunked) {
    auto deadline = Loop::current().time() + std::chrono::minutes(10);
    while (!bytes.empty()) {
        auto piece = bytes.substr(0, 1 + random_.skewed(128 * KiB));
        bytes.remove_prefix(piece.size());
        if (random_.chance(faults_.slow)) co_await Sleep(random_.span(milliseconds(0), milliseconds(300)));
        if (!chunked) {
            bool sent = co_await wire.send(piece, deadline);
            if (!sent) co_return false;
            continue;
        }
        auto framed = fmt::format("{:x}\r\n", piece.size()).append(piece).append("\r\n");
        bool sent = co_await wire.send(framed, deadline);
        if (!sent) co_return false;
    }
    co_return true;
}

}  // namespace entrepot::sim
