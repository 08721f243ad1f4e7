#pragma once
// Mode --hold.

#include "herd/client.h"
#include "herd/report.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace entrepot::bench {

// Each connection asks once and then stays, idle, until standard input ends or --duration is over.
class Hold {
  public:
    Hold(const Options& options, const std::vector<Target>& targets)
        : options_(options), targets_(targets), clients_(options.clients) {}

    int run() {
        const auto deadline = now() + static_cast<std::uint64_t>(options_.deadline * 1e9);
        // In small groups: the backlog of a listening socket is not what is measured here.
        for (std::size_t first = 0; first < clients_.size(); first += 128)
            open_group(first, std::min(first + 128, clients_.size()), deadline);
        print("held");
        wait_for_end();
        for (const auto& client : clients_) {
            char byte = 0;
            const bool alive = recv(client.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
            if (!alive) tally_.fail("closed by the server while idle");
        }
        print("done");
        return tally_.all_ok() ? 0 : 1;
    }

  private:
    void open_group(std::size_t first, std::size_t end, std::uint64_t deadline) {
        std::size_t open = end - first;
        for (std::size_t index = first; index < end; ++index) {
            auto& client = clients_[index];
            client.target = &targets_[index % targets_.size()];
            client.fd = connect_to(*client.target, false, index);
            client.answer.restart(options_.method == "HEAD", false);
            const bool sent = send_request(client);
            poll_.watch(EPOLL_CTL_ADD, client, sent ? EPOLLIN : EPOLLIN | EPOLLOUT);
        }
        const auto take = [&](Client& client, std::uint32_t events) { open -= turn(client, events) ? 1 : 0; };
        while (open > 0 && now() < deadline && !interrupted) poll_.wait(100, take);
        if (open > 0) stop_with(1, "%zu connections of a group were not answered in time", open);
    }

    // True: this client has its answer.
    bool turn(Client& client, std::uint32_t events) {
        if (!client.sent) {
            if (events & EPOLLERR) client.answer.fail("refused");
            if (send_request(client)) poll_.watch(EPOLL_CTL_MOD, client, EPOLLIN);
        }
        client.answer.read(client.fd, scratch_);
        if (!client.answer.ended()) return false;
        if (client.answer.state() == Answer::State::complete) tally_.complete(client.answer.status());
        else tally_.fail(client.answer.why());
        poll_.watch(EPOLL_CTL_DEL, client, 0);
        return true;
    }

    void wait_for_end() const {
        const auto end = now() + static_cast<std::uint64_t>(options_.duration * 1e9);
        fd_set input;
        while (now() < end && !interrupted) {
            FD_ZERO(&input);
            FD_SET(STDIN_FILENO, &input);
            timeval wait{0, 100'000};
            if (select(STDIN_FILENO + 1, &input, nullptr, nullptr, &wait) > 0) return;
        }
    }

    void print(const char* state) const {
        std::printf("{\"mode\":\"hold\",\"state\":\"%s\",\"connections\":%zu,", state, clients_.size());
        tally_.print();
        std::printf("}\n");
        std::fflush(stdout);
    }

    const Options& options_;
    const std::vector<Target>& targets_;
    std::vector<Client> clients_;
    Poll poll_;
    Scratch scratch_;
    Tally tally_;
};

}  // namespace entrepot::bench
