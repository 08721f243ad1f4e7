// entrepot-load: plan, run, report.

#include "load/command_line.h"
#include "load/plan.h"
#include "load/run.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

using namespace entrepot::load;

namespace {

constexpr int exit_well = 0, exit_failed = 1, exit_usage = 2;

int complain(int exit, const std::string& why) {
    std::fprintf(stderr, "entrepot-load: %s\n", why.c_str());
    return exit;
}

/// False, with a line on standard error, when the file cannot be written.
bool write_file(const std::string& path, const std::string& text) {
    if (path.empty()) return true;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "we"), &std::fclose);
    bool written = file && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() && std::fflush(file.get()) == 0;
    if (!written) complain(exit_failed, "cannot write " + path + ": " + std::strerror(errno));
    return written;
}

int tell(const Report& report) {
    auto text = report.options.json ? json_of(report) : table_of(report);
    bool told = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (!report.options.plot_file.empty()) told = write_file(report.options.plot_file, svg_of(report)) && told;
    if (!report.options.report_file.empty()) told = write_file(report.options.report_file, html_of(report)) && told;
    return told && report.all_well() ? exit_well : exit_failed;
}

}  // namespace

int main(int count, char** words) {
    auto options = parse_command_line({words + 1, words + count});
    if (!options) {
        if (options.error().exit != exit_well) return complain(exit_usage, options.error().text);
        std::fputs(options.error().text.c_str(), stdout);
        return exit_well;
    }
    auto plan = make_plan(*options);
    if (!plan) return complain(exit_usage, plan.error());
    auto report = run_load(*plan);
    if (!report) return complain(exit_failed, report.error());
    return tell(*report);
}
