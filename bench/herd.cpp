// herd: a herd of HTTP clients in one thread, to measure a server that is faster than most load generators.
//
// It does as little as a client can: bodies are dropped inside the kernel (recv with MSG_TRUNC copies nothing), so that on
// two cores the server is the limit and not the client. It reads the server's CPU clock itself at both ends of the measured
// window, so that warm-up and connecting are not billed. It speaks to 127.0.0.0/8 only and always ends (--deadline).

#include "herd/closed_loop.h"
#include "herd/hold.h"
#include "herd/one_get_each.h"
#include "herd/probe.h"

#include <sched.h>
#include <sys/resource.h>

#include <fstream>
#include <map>

namespace entrepot::bench {
namespace {

constexpr const char* usage =
    "Usage: herd MODE [options] URL...          (http://127.x.x.x:PORT/PATH only)\n"
    "  --get    --clients N      everybody asks once at the same moment; the URLs are dealt in turn\n"
    "  --loop   --connections N  everybody asks again and again for --duration, after --warmup\n"
    "  --probe  --rate R         R requests a second for --duration after --warmup, each on one of --connections\n"
    "  --hold   --connections N  everybody asks once and stays idle until stdin ends or --duration is over\n"
    "  --duration S (5)  --warmup S (0.5)  --deadline S (120)  --no-keepalive  --head  --header 'Name: value'\n"
    "  --url-file FILE   one URL a line     --server-pid PID  bill this process's CPU (may be repeated)\n"
    "  --verify N        the first N clients of --get check SHA-256 (from the path's sha256:HEX, or --sha256 HEX)\n"
    "  --realtime        SCHED_FIFO, so that a probe is not delayed by other clients on its core\n"
    "Prints one JSON object. Exit: 0 all answers complete and below status 300, 1 not, 2 wrong usage.\n"
    "Example: herd --get --clients 50 --verify 1 http://127.0.0.1:5000/v2/docker.io/library/alpine/blobs/sha256:...\n";

class CommandLine {
  public:
    CommandLine(int count, char** words) : words_(words + 1, words + count) {}

    Options parse() {
        for (; at_ < words_.size(); ++at_)
            if (!take_mode(words_[at_]) && !take_switch(words_[at_]) && !take_value(words_[at_])) take_url(words_[at_]);
        if (options_.mode == Options::Mode::none || options_.urls.empty()) wrong("a mode and a URL are needed");
        if (options_.clients < 1 || options_.clients > clients_max) wrong("1 to 19000 clients");
        if (options_.rate <= 0 || options_.duration <= 0 || options_.deadline <= 0) wrong("rates and times are positive");
        return options_;
    }

  private:
    [[noreturn]] static void wrong(const char* why) {
        std::fprintf(stderr, "herd: %s\n%s", why, usage);
        std::exit(2);
    }
    const char* value() {
        if (at_ + 1 >= words_.size()) wrong("an option lacks its value");
        return words_[++at_].c_str();
    }
    bool take_mode(const std::string& word) {
        using Mode = Options::Mode;
        const std::map<std::string, Mode> modes{
            {"--get", Mode::get}, {"--loop", Mode::loop}, {"--probe", Mode::probe}, {"--hold", Mode::hold}};
        const auto found = modes.find(word);
        if (found != modes.end()) options_.mode = found->second;
        return found != modes.end();
    }
    bool take_switch(const std::string& word) {
        if (word == "--no-keepalive") options_.keepalive = false;
        else if (word == "--head") options_.method = "HEAD";
        else if (word == "--realtime") options_.realtime = true;
        else if (word == "--help") std::fputs(usage, stdout), std::exit(0);
        else return false;
        return true;
    }
    bool take_value(const std::string& word) {
        if (word == "--clients" || word == "--connections") options_.clients = std::strtoul(value(), nullptr, 10);
        else if (word == "--verify") options_.verify = std::strtoul(value(), nullptr, 10);
        else if (word == "--duration") options_.duration = std::atof(value());
        else if (word == "--warmup") options_.warmup = std::atof(value());
        else if (word == "--deadline") options_.deadline = std::atof(value());
        else if (word == "--rate") options_.rate = std::atof(value());
        else if (word == "--sha256") options_.sha256 = value();
        else if (word == "--header") options_.headers.emplace_back(value());
        else if (word == "--url-file") take_file(value());
        else if (word == "--server-pid") options_.server_pids.push_back(std::atoi(value()));
        else return false;
        return true;
    }
    void take_file(const char* path) {
        std::ifstream file(path);
        if (!file) stop_with(2, "cannot read %s", path);
        for (std::string line; std::getline(file, line);)
            if (!line.empty()) options_.urls.push_back(line);
    }
    void take_url(const std::string& word) {
        if (word.rfind("--", 0) == 0) wrong("unknown option");
        options_.urls.push_back(word);
    }

    std::vector<std::string> words_;
    std::size_t at_ = 0;
    Options options_;
};

void prepare_process(const Options& options) {
    std::signal(SIGPIPE, SIG_IGN);
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = 1; });
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (!options.realtime) return;
    const sched_param priority{1};
    if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
        std::fprintf(stderr, "herd: no realtime priority: %s\n", std::strerror(errno));
}

int run(const Options& options) {
    std::vector<Target> targets;
    for (const auto& url : options.urls) targets.push_back(target_of(url, options));
    switch (options.mode) {
        case Options::Mode::get: return OneGetEach(options, targets).run();
        case Options::Mode::loop: return ClosedLoop(options, targets).run();
        case Options::Mode::probe: return Probe(options, targets.front()).run();
        case Options::Mode::hold: return Hold(options, targets).run();
        case Options::Mode::none: break;
    }
    return 2;
}

}  // namespace
}  // namespace entrepot::bench

int main(int count, char** words) {
    const auto options = entrepot::bench::CommandLine(count, words).parse();
    entrepot::bench::prepare_process(options);
    return entrepot::bench::run(options);
}
