#pragma once
// The commands that speak to a running server: `entrepot cache ...`, `credential-set ...`, `account ...`, `token ...`, `apply`, `export`,
// `status`. They are clients of its REST interface and know nothing else of it; so they work against any entrepot that can be reached.

#include <memory>

namespace CLI {
class App;
}

namespace entrepot::cli {

class CommandLine {
  public:
    /// Adds the commands to `app`, which must live as long as this.
    explicit CommandLine(CLI::App& app);
    ~CommandLine();

    /// Runs the command that app.parse() found. Returns the exit status: 0 done, 1 refused or failed, 2 wrong usage; but for 0, one line
    /// on standard error has said why. -1 when it was none of these commands.
    int run();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace entrepot::cli
