#pragma once
// A directory of a test's own, removed with all in it.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace entrepot::cli {

class Scratch {
  public:
    Scratch() {
        char form[] = "/tmp/entrepot-cli-XXXXXX";
        REQUIRE(::mkdtemp(form));
        directory_ = form;
    }
    Scratch(const Scratch&) = delete;
    ~Scratch() { std::filesystem::remove_all(directory_); }

    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        std::ofstream(path(name)) << text;
        REQUIRE(::chmod(path(name).c_str(), mode) == 0);
        return path(name);
    }

  private:
    std::string directory_;
};

}  // namespace entrepot::cli
