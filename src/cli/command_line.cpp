#include "entrepot/cli/command_line.h"

#include "cli/account_commands.h"
#include "cli/cache_commands.h"
#include "cli/credential_set_commands.h"
#include "cli/declarative_commands.h"
#include "cli/status_command.h"

#include <csignal>

namespace entrepot::cli {

struct CommandLine::State {
    Chosen chosen;
};

CommandLine::CommandLine(CLI::App& app) : state_(std::make_unique<State>()) {
    CommandGroup commands(app, state_->chosen);
    declare_cache_commands(commands);
    declare_credential_set_commands(commands);
    declare_account_commands(commands);
    declare_declarative_commands(commands);
    declare_status_command(commands);
}

CommandLine::~CommandLine() = default;

int CommandLine::run() {
    if (!state_->chosen.action) return -1;
    // Who reads our output may leave before its end; that is an error to be told like others.
    std::signal(SIGPIPE, SIG_IGN);
    auto session = Session::open(state_->chosen.common);
    auto done = session ? state_->chosen.action(**session) : Outcome<void>(session.error());
    if (done) return 0;
    Terminal().complain(done.error().text);
    return done.error().status;
}

}  // namespace entrepot::cli
