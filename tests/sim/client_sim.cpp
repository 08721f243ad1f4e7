#include "client_sim.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace entrepot::sim {
namespace {

/// Longer than any deadline of the program towards an upstream, retries included.
constexpr Duration patience = std::chrono::minutes(15);
constexpr unsigned connections_max = 40;  // of one client, so that a run ends whatever breaks

std::string difference(const std::string& wanted, const std::string& found) {
    if (wanted.size() != found.size()) return fmt::format(": {} bytes instead of {}", found.size(), wanted.size());
    std::size_t first = wanted.size(), last = 0, count = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == found[i]) continue;
        first = std::min(first, i);
        last = i;
        ++count;
    }
    return fmt::format(": {} bytes between {} and {} are wrong", count, first, last);
}

const char* name_of(Ask::What what) {
    constexpr const char* names[] = {"version",    "blob", "manifest",  "tag",       "unknown_blob",
                                     "bad_digest", "push", "tags_list", "referrers", "catalog"};
    return names[static_cast<int>(what)];
}

}  // namespace

std::string Ask::text(bool keep_alive) const {
    auto text = fmt::format("{} {} HTTP/1.1\r\nHost: cache.sim\r\nUser-Agent: simulated/1.0\r\n{}", method, target, extra_fields);
    if (!keep_alive) text += "Connection: close\r\n";
    if (first && last) text += fmt::format("Range: bytes={}-{}\r\n", *first, *last);
    else if (first) text += fmt::format("Range: bytes={}-\r\n", *first);
    else if (last) text += fmt::format("Range: bytes=-{}\r\n", *last);
    if (if_none_match) text += fmt::format("If-None-Match: \"{}\"\r\n", reference);
    return text + "\r\n";
}

void Judge::fail(const Ask& ask, const Answer& answer, const std::string& why) const {
    auto fields = std::string();
    for (const auto& [name, value] : answer.head.fields) fields += fmt::format("  {}: {}\n", name, value);
    violation(fmt::format("{}\nasked: {} ({})\n{}answered: {} with {} bytes of body{}\n{}{}", why, name_of(ask.what), ask.method,
                          ask.text(true), answer.head.first_line, answer.body.size(), answer.complete ? "" : ", incomplete",
                          fields, answer.status >= 400 ? answer.body.substr(0, 400) : std::string()));
}

void Judge::judge(const Ask& ask, const Answer& answer) {
    if (world_.verbose)
        fmt::print(stderr, "             answered {} {}: {}\n", ask.method, ask.target, answer.head.field("x-entrepot-cache"));
    world_.note("answer", static_cast<std::uint64_t>(answer.status), answer.body.size());
    ++world_.counts[fmt::format("{} {} {}", ask.method, name_of(ask.what), answer.status)];
    if (answer.head.has("x-entrepot-cache")) ++world_.counts["answered by " + answer.head.field("x-entrepot-cache")];
    if (answer.timed_out && !excuses_.silence) fail(ask, answer, "a request does not end");
    if (!answer.complete && !answer.left) judge_incomplete(ask, answer);
    if (answer.status == 0) return;
    judge_status(ask, answer);
    if (answer.status == 200 || answer.status == 206) judge_content(ask, answer);
    if (answer.status == 200 && answer.complete) judge_list(ask, answer);
}

void Judge::judge_incomplete(const Ask& ask, const Answer& answer) const {
    ++world_.counts["incomplete answers"];
    // Content that upstream breaks ends short; anything else only when the client's own connection broke.
    bool content = ask.what == Ask::What::blob || ask.what == Ask::What::manifest || ask.what == Ask::What::tag;
    if (excuses_.connection || (content && excuses_.upstream)) return;
    fail(ask, answer, "an answer is incomplete though nothing broke");
}

void Judge::judge_status(const Ask& ask, const Answer& answer) const {
    std::vector<int> right;
    switch (ask.what) {
        case Ask::What::version:
        case Ask::What::catalog:
        case Ask::What::tags_list:
        case Ask::What::referrers: right = {200}; break;
        case Ask::What::bad_digest: right = {400}; break;
        case Ask::What::push: right = {405}; break;
        case Ask::What::unknown_blob: right = {404}; break;
        default:
            right = {200};
            if (ask.if_none_match) right = {304};
            else if (ask.head_only()) right = {200};  // a range is for GET alone
            else if ((ask.first || ask.last) && ask.content && ask.content->bytes.empty())
                right = {200, 416};  // nothing to take a part of
            else if (ask.first && ask.content && *ask.first >= ask.content->bytes.size()) right = {416};
            else if (ask.last && !ask.first && *ask.last == 0) right = {416};
            else if (ask.first || ask.last) right = {206};
    }
    if (std::find(right.begin(), right.end(), answer.status) != right.end()) return;
    bool asks_upstream = ask.what != Ask::What::version && ask.what != Ask::What::catalog && ask.what != Ask::What::bad_digest &&
                         ask.what != Ask::What::push;
    constexpr int excusable[] = {429, 502, 503, 504};
    if (answer.status == 408 && excuses_.silence) return;  // the rest of the head is on its way for ever
    // Whether a part can be satisfied depends on the length, about which this upstream lies.
    if (excuses_.corruption && (ask.first || ask.last) && (answer.status == 206 || answer.status == 416)) return;
    if (asks_upstream && excuses_.upstream &&
        std::find(std::begin(excusable), std::end(excusable), answer.status) != std::end(excusable))
        return;
    fail(ask, answer, fmt::format("the status should be {}", right.front()));
}

const Content* Judge::content_of(const Ask& ask, const Answer& answer) const {
    if (ask.content) return ask.content;
    // A tag: what the answer says it is must be something the tag ever was.
    auto digest = answer.head.field("docker-content-digest");
    for (const auto& repository : catalogue_.repositories()) {
        if (repository.name != ask.repository) continue;
        auto history = repository.tag_history.find(ask.reference);
        if (history != repository.tag_history.end() && history->second.contains(digest)) return catalogue_.find(digest);
    }
    fail(ask, answer, "the tag never was " + digest);
    return nullptr;
}

void Judge::judge_content(const Ask& ask, const Answer& answer) const {
    if (ask.what != Ask::What::blob && ask.what != Ask::What::manifest && ask.what != Ask::What::tag) return;
    const auto& content = *content_of(ask, answer);
    if (answer.head.field("docker-content-digest") != content.digest.text())
        fail(ask, answer, "Docker-Content-Digest is missing or wrong");
    if (content.is_manifest() && answer.head.field("content-type") != content.media_type)
        fail(ask, answer, "the manifest's media type was changed");
    if (answer.head.has("content-encoding")) fail(ask, answer, "the content is said to be encoded");
    if (answer.status == 206) return judge_part(ask, answer);
    auto length = answer.head.field("content-length");
    if (ask.head_only()) {
        if (!excuses_.corruption && length != std::to_string(content.bytes.size()))
            fail(ask, answer, "HEAD promises another length");
        return;
    }
    if (!answer.complete) return;
    if (Digest::of(bytes_of(answer.body), content.digest.algorithm()) != content.digest) {
        fail(ask, answer, "a complete body does not match its digest" + difference(content.bytes, answer.body));
    }
    if (answer.body != content.bytes) fail(ask, answer, "a body matches its digest and is another one");
}

/// Lists are made anew by the program, so only what they say is compared.
void Judge::judge_list(const Ask& ask, const Answer& answer) const {
    bool is_list = ask.what == Ask::What::tags_list || ask.what == Ask::What::referrers || ask.what == Ask::What::catalog;
    if (!is_list || ask.head_only()) return;
    auto list = nlohmann::json::parse(answer.body, nullptr, false);
    if (list.is_discarded() || !list.is_object()) fail(ask, answer, "a list is no JSON object");
    if (ask.what == Ask::What::referrers && !(list.contains("manifests") && list["manifests"].empty()))
        fail(ask, answer, "nobody refers to anything here");
    if (ask.what != Ask::What::tags_list) return;
    for (const auto& repository : catalogue_.repositories()) {
        if (repository.name != ask.repository) continue;
        for (const auto& tag : list["tags"]) {
            if (!repository.tags.contains(tag.get<std::string>())) fail(ask, answer, "a tag is listed that there never was");
        }
    }
}

void Judge::judge_part(const Ask& ask, const Answer& answer) const {
    auto size = ask.content ? ask.content->bytes.size() : 0;
    auto first = ask.first ? *ask.first : size - std::min<std::uint64_t>(size, *ask.last);
    auto last = ask.first && ask.last ? std::min<std::uint64_t>(*ask.last, size - 1) : size - 1;
    auto expected = fmt::format("bytes {}-{}/{}", first, last, size);
    // With an upstream that lies about lengths or bytes, a part may leave before the whole was verified.
    if (excuses_.corruption && answer.head.field("x-entrepot-cache") != "hit") return;
    if (answer.head.field("content-range") != expected) fail(ask, answer, "Content-Range should be " + expected);
    if (answer.complete && answer.body.size() != last - first + 1) fail(ask, answer, "the part has another length");
    if (ask.content->bytes.compare(first, answer.body.size(), answer.body) != 0) fail(ask, answer, "the part's bytes are wrong");
}

SimClients::SimClients(World& world, Catalogue& catalogue, Judge& judge, const ClientOptions& options)
    : world_(world), catalogue_(catalogue), judge_(judge), options_(options), random_(world.random.fork()) {
    if (!random_.chance(options.herd)) return;
    const auto& repository = random_.pick(catalogue.repositories());
    herd_repository_ = repository.name;
    herd_blob_ = *std::next(repository.blobs.begin(), static_cast<std::ptrdiff_t>(random_.below(repository.blobs.size())));
}

void SimClients::start() {
    for (unsigned i = 0; i < options_.clients; ++i) clients_.start(run(i));
}

Task<void> SimClients::run(unsigned) {
    auto random = random_.fork();
    Manner manner;
    constexpr const char* styles[] = {"target", "ns", "root"};
    manner.style = random.pick(styles);
    manner.slow = random.chance(options_.slow);
    if (herd_blob_.empty()) co_await Sleep(random.span(seconds(0), seconds(5)));
    unsigned left = 1 + static_cast<unsigned>(random.below(options_.requests_max));
    for (unsigned connection = 0; left > 0 && connection < connections_max; ++connection) {
        auto deadline = Loop::current().time() + patience;
        auto wire = co_await Wire::connect(options_.server, deadline);
        if (!wire) {
            co_await Sleep(random.span(milliseconds(10), seconds(2)));
            continue;
        }
        co_await converse(*wire, random, manner, left);
        wire->close(random.chance(options_.leaves));
        if (random.chance(0.3)) co_await Sleep(random.span(milliseconds(0), seconds(90)));
    }
}

/// Requests on one connection until it ends or none is left.
Task<void> SimClients::converse(Wire& wire, Random& random, const Manner& manner, unsigned& left) {
    std::vector<Ask> asked;
    while (left > 0) {
        bool last = left == 1 || random.chance(0.1);
        unsigned together = last                                ? 1
                            : random.chance(options_.pipelines) ? static_cast<unsigned>(random.between(1, std::min(left, 4u)))
                                                                : 1;
        std::string text;
        asked.clear();
        for (unsigned i = 0; i < together; ++i) {
            asked.push_back(draw_ask(random, manner, i == 0));
            text += asked.back().text(!last || i + 1 < together);
        }
        auto deadline = Loop::current().time() + patience;
        bool sent = co_await wire.send(text, deadline);
        if (sent && last && random.chance(0.2)) wire.shut_sending();
        for (const auto& ask : asked) {
            --left;
            auto answer = co_await read_answer(wire, ask, random, manner);
            ++answers_;
            if (answer.complete) ++complete_;
            judge_.judge(ask, answer);
            if (!answer.complete || answer.head.field("connection") == "close") co_return;
        }
        if (last) co_return;
        if (random.chance(0.2)) co_await Sleep(random.span(milliseconds(0), seconds(3)));
    }
}

Task<Answer> SimClients::read_answer(Wire& wire, const Ask& ask, Random& random, const Manner& manner) {
    Answer answer;
    auto deadline = Loop::current().time() + patience;
    auto text = co_await wire.take_until("\r\n\r\n", deadline);
    answer.timed_out = wire.timed_out();
    if (!text) co_return answer;
    auto head = Head::parse(*text);
    if (!head || head->status() == 0) violation("a client received a malformed head: " + *text);
    answer.head = *head;
    answer.status = head->status();
    bool empty = ask.head_only() || answer.status == 304 || answer.status == 204;
    if (empty) {
        answer.complete = true;
        co_return answer;
    }
    auto leave_after = random.chance(options_.leaves) ? random.skewed(MiB) : UINT64_MAX;
    if (head->field("transfer-encoding") == "chunked") {
        co_await read_chunks(wire, answer);
        co_return answer;
    }
    if (!head->has("content-length")) violation("an answer has neither length nor chunks: " + *text);
    auto length = std::strtoull(head->field("content-length").c_str(), nullptr, 10);
    co_await read_length(wire, answer, length, leave_after, random, manner);
    co_return answer;
}

Task<void> SimClients::read_length(Wire& wire, Answer& answer, std::uint64_t length, std::uint64_t leave_after, Random& random,
                                   const Manner& manner) {
    while (true) {
        auto take = std::min<std::uint64_t>(wire.buffer.size(), length - answer.body.size());
        answer.body.append(wire.buffer, 0, take);
        wire.buffer.erase(0, take);
        if (answer.body.size() == length) break;
        if (answer.body.size() >= leave_after) {
            answer.left = true;
            co_return;
        }
        if (manner.slow)
            co_await Sleep(random.span(milliseconds(0), milliseconds(60)));  // above 8 KiB/s: slower ones may be cut off
        bool more =
            co_await wire.fill(Loop::current().time() + patience, manner.slow ? 4 * KiB + random.skewed(64 * KiB) : 64 * KiB);
        answer.timed_out = wire.timed_out();
        if (!more) co_return;
    }
    answer.complete = true;
}

Task<void> SimClients::read_chunks(Wire& wire, Answer& answer) {
    while (true) {
        auto deadline = Loop::current().time() + patience;
        auto line = co_await wire.take_until("\r\n", deadline);
        answer.timed_out = wire.timed_out();
        if (!line) co_return;
        auto size = std::strtoull(line->c_str(), nullptr, 16);
        while (wire.buffer.size() < size + 2) {
            bool more = co_await wire.fill(deadline);
            answer.timed_out = wire.timed_out();
            if (!more) co_return;
        }
        answer.body.append(wire.buffer, 0, size);
        wire.buffer.erase(0, size + 2);
        if (size == 0) break;
    }
    answer.complete = true;
}

void SimClients::draw_range(Ask& ask, Random& random) const {
    auto size = ask.content->bytes.size();
    switch (random.below(4)) {
        case 0: ask.first = random.below(size + 1); break;
        case 1: ask.last = random.skewed(size + 10); break;
        case 2: ask.first = size + random.below(3); break;
        default: ask.first = random.below(size + 1); ask.last = *ask.first + random.skewed(size + 10);
    }
}

Ask SimClients::draw_ask(Random& random, const Manner& manner, bool first) {
    Ask ask;
    auto& repository = random.pick(catalogue_.repositories());
    ask.repository = repository.name;
    auto choose = [&random](const std::set<std::string>& from) {
        return *std::next(from.begin(), static_cast<std::ptrdiff_t>(random.below(from.size())));
    };
    ask.extra_fields = options_.client_secret + ": hunter2\r\n";
    ask.method = random.chance(0.15) ? "HEAD" : "GET";
    std::string kind = "blobs";
    auto drawn = random.below(100);
    if (first && !herd_blob_.empty() && random.chance(0.5)) {
        ask.what = Ask::What::blob;
        ask.repository = herd_repository_;
        ask.reference = herd_blob_;
    } else if (drawn < 55) {
        ask.what = Ask::What::blob;
        ask.reference = choose(repository.blobs);
    } else if (drawn < 70) {
        ask.what = Ask::What::manifest;
        ask.reference = choose(repository.manifests);
    } else if (drawn < 88) {
        ask.what = Ask::What::tag;
        ask.reference =
            std::next(repository.tags.begin(), static_cast<std::ptrdiff_t>(random.below(repository.tags.size())))->first;
    } else if (drawn < 91) {
        ask.what = Ask::What::unknown_blob;
        ask.reference = Catalogue::unknown_digest(random);
    } else if (drawn < 94) {
        ask.what = Ask::What::bad_digest;
        ask.reference = "sha256:0123";
    } else if (drawn < 96) {
        ask.what = Ask::What::push;
        ask.method = "DELETE";
        ask.reference = choose(repository.blobs);
    } else if (drawn < 97) {
        ask.what = Ask::What::tags_list;
        ask.reference = "list";
        kind = "tags";
    } else if (drawn < 98) {
        ask.what = Ask::What::referrers;
        ask.reference = choose(repository.manifests);
        kind = "referrers";
    } else {
        ask.what = random.chance(0.5) ? Ask::What::catalog : Ask::What::version;
        ask.target = ask.what == Ask::What::catalog ? "/v2/_catalog" : "/v2/";
        return ask;
    }
    if (ask.what == Ask::What::manifest || ask.what == Ask::What::tag) {
        kind = "manifests";
        ask.extra_fields += "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json\r\n";
    }
    if (ask.what == Ask::What::blob || ask.what == Ask::What::manifest) ask.content = catalogue_.find(ask.reference);
    if (ask.what == Ask::What::blob && !ask.head_only() && random.chance(0.25)) draw_range(ask, random);
    else if (ask.what == Ask::What::blob && random.chance(0.05)) ask.if_none_match = true;
    ask.target = fmt::format("/v2/{}{}/{}/{}{}", manner.style == "target" ? "registry.sim/" : "", ask.repository, kind,
                             ask.reference, manner.style == "ns" ? "?ns=registry.sim" : "");
    return ask;
}

}  // namespace entrepot::sim
