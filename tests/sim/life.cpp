#include "life.h"

#include "ring_sim.h"
#include "sim_box.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace entrepot::sim {
namespace {

constexpr Duration run_time_max = std::chrono::hours(12);
constexpr Duration stop_time_max = std::chrono::minutes(10);
constexpr std::uint64_t steps_max = 20'000'000;
constexpr double rot_at_rest = 0.3;  // of the stored files, before the scrub has to find it

void put(std::string& into, std::string_view text) {
    std::uint64_t length = text.size();
    into.append(reinterpret_cast<const char*>(&length), sizeof length);
    into += text;
}

std::string take(std::string_view& from) {
    std::uint64_t length = 0;
    ASSERT(from.size() >= sizeof length);
    std::memcpy(&length, from.data(), sizeof length);
    ASSERT(from.size() >= sizeof length + length);
    std::string text(from.substr(sizeof length, length));
    from.remove_prefix(sizeof length + length);
    return text;
}

void put(std::string& into, const std::map<std::string, std::uint64_t>& numbers) {
    put(into, std::to_string(numbers.size()));
    for (const auto& [name, number] : numbers) {
        put(into, name);
        put(into, std::to_string(number));
    }
}

std::map<std::string, std::uint64_t> take_numbers(std::string_view& from) {
    std::map<std::string, std::uint64_t> numbers;
    for (auto count = std::stoull(take(from)); count > 0; --count) {
        auto name = take(from);
        numbers[name] = std::stoull(take(from));
    }
    return numbers;
}

/// The stage and everybody on it.
class LifeRun {
  public:
    LifeRun(const Plan& plan, std::size_t number, const Memory& before, bool verbose);
    Memory run();

  private:
    void start_box();
    bool must_crash() const { return life_.crashes && world_.disk_steps >= life_.crash_at_disk_step; }
    void wait_for_clients();
    void stop_box();
    void close_outside();
    Task<void> close_registry();
    Task<void> move_tags();
    Task<void> purge_now_and_then();
    PurgeOrder draw_purge(Random& random);
    Task<void> rot_now_and_then();
    Task<void> read_only_now_and_then();
    void wait_for_healing();
    void rot(double probability);
    void let_scrub_find_all();
    void until_scrub_ends_a_pass();
    void check_outcome(World::Outcome outcome, const char* what) const;
    void check_files() const;
    void check_disk(const Disk& disk) const;
    void end_power(bool orderly);
    void check_fetches() const;
    void check_account() const;
    Memory remember() const;

    const Plan& plan_;
    std::size_t number_;
    const Life& life_;
    const Memory& before_;
    World world_;
    Catalogue catalogue_;
    std::unique_ptr<Loop> outside_;
    std::unique_ptr<SimRegistry> registry_;
    Judge judge_;
    std::unique_ptr<SimClients> clients_;
    TaskGroup background_;
    bool ending_ = false;
    bool purging_ = false, purges_end_ = false, rot_ends_ = false;
    std::map<std::string, std::uint64_t> rotten_;
    std::unique_ptr<SimBox> box_;
};

std::unique_ptr<Ring> open_ring() {
    Ring::Options options;
    options.provided_buffers = 16;
    auto ring = Ring::open(options);
    ASSERT(ring);
    return std::move(*ring);
}

LifeRun::LifeRun(const Plan& plan, std::size_t number, const Memory& before, bool verbose)
    : plan_(plan), number_(number), life_(plan.lives[number]), before_(before), world_(plan.seed * 16 + number, plan.faults),
      catalogue_(Random(plan.catalogue_seed), plan.catalogue), judge_(world_, catalogue_, plan.excuses()) {
    world_.verbose = verbose;
    rotten_ = before.rotten;
    if (before.time_ns > 0) world_.skip_to({before.time_ns});
    if (!before.tags.empty()) catalogue_.load_tags(before.tags);
    for (const auto& path : plan.disk_paths()) {
        auto& disk = world_.add_disk(path, plan.disk_bytes);
        auto saved = before.disks.find(path);
        if (saved != before.disks.end()) disk.load(saved->second);
    }
    outside_ = std::make_unique<Loop>(open_ring());
    world_.attach(*outside_);
    outside_->enter();
    registry_ = std::make_unique<SimRegistry>(world_, catalogue_, plan.upstream);
    auto options = plan.clients;
    options.server = address_of(SimBox::ip, SimBox::port);
    clients_ = std::make_unique<SimClients>(world_, catalogue_, judge_, options);
}

void LifeRun::check_outcome(World::Outcome outcome, const char* what) const {
    switch (outcome) {
        case World::Outcome::done: return;
        case World::Outcome::stuck: violation(fmt::format("{}: nothing will ever happen again", what));
        case World::Outcome::out_of_time: violation(fmt::format("{}: does not end", what));
        case World::Outcome::out_of_steps: violation(fmt::format("{}: turns without end", what));
    }
}

void LifeRun::start_box() {
    SimBox::Setup setup;
    setup.shards = plan_.shards;
    setup.capacity_bytes = plan_.capacity_bytes;
    setup.directory = Plan::store_path;
    setup.volumes = plan_.volumes;
    setup.login_server = SimRegistry::login_server;
    setup.endpoint = std::string("http://") + SimRegistry::login_server;
    setup.realm = "http://tokens.sim";
    setup.tag_ttl = plan_.tag_ttl;
    setup.buffers = plan_.buffers;
    setup.provided_buffers = plan_.provided_buffers;
    setup.scrub_period = plan_.scrub_period;
    // A start that is refused is a short life: mostly the disk waits with its faults until the box runs.
    if (world_.random.chance(0.9)) world_.faults.heal_disk();
    box_ = std::make_unique<SimBox>(world_, setup);
    auto outcome = world_.run_until([this] { return box_->ready() || !box_->failed().empty() || must_crash(); },
                                    world_.time() + run_time_max, steps_max);
    check_outcome(outcome, "the start");
    world_.faults = plan_.faults;
    if (box_->failed().empty() && number_ > 0 && before_.counts.contains("injected: crash in the middle"))
        ++world_.counts["starts after a crash"];
    if (box_->failed().empty()) return;
    // A disk that refuses may keep the program from starting; it must say so and be able to start later.
    if (!plan_.disk_may_fail()) violation("the program does not start: " + box_->failed());
    ++world_.counts["starts refused"];
}

Task<void> LifeRun::move_tags() {
    Random random = world_.random.fork();
    while (!ending_) {
        co_await Sleep(random.span(seconds(1), seconds(100)));
        if (random.chance(0.5)) catalogue_.move_a_tag(random);
    }
}

/// All of a repository, one of its tags, or one digest of it.
PurgeOrder LifeRun::draw_purge(Random& random) {
    auto& repository = random.pick(catalogue_.repositories());
    PurgeOrder order;
    order.holders.push_back({"", std::string(SimRegistry::login_server) + "/" + repository.name});
    auto choose = [&random](auto& from) {
        return *std::next(from.begin(), static_cast<std::ptrdiff_t>(random.below(from.size())));
    };
    switch (random.below(4)) {
        case 0: order.tag = choose(repository.tags).first; break;
        case 1: order.digest = Digest::parse(choose(repository.manifests)); break;
        case 2: order.digest = Digest::parse(choose(repository.blobs)); break;
        default: break;
    }
    order.dry_run = random.chance(0.1);
    return order;
}

Task<void> LifeRun::purge_now_and_then() {
    Random random = world_.random.fork();
    for (;;) {
        co_await Sleep(random.span(milliseconds(1), seconds(20)));
        if (ending_ || purges_end_) co_return;
        auto order = draw_purge(random);
        ++world_.counts["purges"];
        purging_ = true;
        auto done = co_await box_->purge(std::move(order));
        purging_ = false;
        bool cut_short = purges_end_ && !done && done.error().code == Code::stopping;  // by the shutdown, as it says
        if (!done && plan_.healthy && !cut_short)
            violation("a purge failed among healthy parts: " + std::string(name_of(done.error().code)));
        if (done) world_.counts["blobs purged"] += done->manifests + done->blobs;
    }
}

/// Bits flip in published files, where no page of memory hides it.
void LifeRun::rot(double probability) {
    for (const auto& [disk_path, disk] : world_.disks) {
        for (const auto& [path, inode] : disk->files()) {
            if (path.rfind("blobs/", 0) != 0 || !world_.random.chance(probability) || !disk->rot(*inode, world_.random)) continue;
            ++rotten_[disk_path + "/" + path];
            world_.count_injected("bit rotten");
        }
    }
}

Task<void> LifeRun::rot_now_and_then() {
    Random random = world_.random.fork();
    while (!ending_) {
        co_await Sleep(random.span(seconds(1), seconds(30)));
        if (!rot_ends_) rot(plan_.rot);
    }
}

/// One disk at a time takes nothing, for moments or for minutes.
Task<void> LifeRun::read_only_now_and_then() {
    Random random = world_.random.fork();
    while (!ending_) {
        co_await Sleep(random.span(milliseconds(10), seconds(30)));
        if (rot_ends_) co_return;  // disks are well from now on
        auto& disk = *std::next(world_.disks.begin(), static_cast<std::ptrdiff_t>(random.below(world_.disks.size())))->second;
        disk.read_only = true;
        world_.count_injected("read-only spell");
        co_await Sleep(random.span(milliseconds(10), random.chance(0.2) ? std::chrono::minutes(5) : seconds(20)));
        disk.read_only = false;
    }
}

/// Disks that are well again are found to be, by nobody's help, within the longest pause between two attempts.
void LifeRun::wait_for_healing() {
    constexpr auto pauses = 2 * DiskHealth::probe_pause_max + seconds(10);
    if (!plan_.disk_may_fail() || !plan_.roomy || world_.random.chance(0.5)) return;
    auto before = std::exchange(world_.faults, plan_.faults);
    world_.faults.heal_disk();
    auto well = [this] {
        auto disks = box_->disks();
        // What was out of order at the start is so until the next one.
        return std::all_of(disks.begin(), disks.end(),
                           [](auto* disk) { return disk->healthy() || disk->state() == DiskHealth::State::closed; });
    };
    bool hindered = plan_.read_only_spells;  // may turn read-only at any moment while we wait
    bool was_well = well();
    auto outcome = world_.run_until([&] { return well(); }, world_.time() + (hindered ? 20 * pauses : pauses), steps_max);
    std::string ill;
    for (const auto* disk : box_->disks()) {
        if (auto trouble = disk->trouble())
            ill += fmt::format(" ({} {}: {}, {})", disk->kind(), disk->path(), name_of(trouble->state), trouble->why);
    }
    check_outcome(outcome, ("the healing of the disks" + ill).c_str());
    if (!was_well) ++world_.counts["disks healed"];
    world_.faults = before;
}

void LifeRun::until_scrub_ends_a_pass() {
    auto before = box_->store_counters().scrub_pass_ended.load();
    auto outcome = world_.run_until([&] { return box_->store_counters().scrub_pass_ended.load() > before; },
                                    world_.time() + run_time_max, steps_max);
    check_outcome(outcome, "a pass of the scrub");
}

/// Nobody asks for anything any more, no more rots, and the disk gives what it has: a pass of the scrub, from its beginning to its end, finds all that did.
void LifeRun::let_scrub_find_all() {
    if (plan_.scrub_period == Duration{0} || plan_.healthy || !box_->ready()) return;
    rot_ends_ = true;
    world_.faults.heal_disk();
    for (const auto& [path, disk] : world_.disks) {
        disk->read_only = false;
        for (const auto& [file, inode] : disk->files()) disk->reclaim(*inode, world_.random, 1);
    }
    rot(rot_at_rest);
    auto found_before = box_->store_counters().scrub_damaged.load();
    until_scrub_ends_a_pass();
    until_scrub_ends_a_pass();
    world_.counts["rotten blobs found by the scrub"] += box_->store_counters().scrub_damaged.load() - found_before;
    ++world_.counts["passes of the scrub that leave nothing rotten"];
    for (const auto& [disk_path, disk] : world_.disks) {
        for (const auto& [path, inode] : disk->files()) {
            if (path.rfind("blobs/", 0) != 0) continue;
            auto text = path.substr(6);
            text[text.find('/')] = ':';
            auto digest = Digest::parse(text);
            if (!digest || !box_->has(*digest, disk_path)) continue;
            if (Digest::of(bytes_of(inode->data), digest->algorithm()) != *digest)
                violation("the scrub has passed over a damaged blob: " + path);
        }
    }
    world_.faults = plan_.faults;
}

void LifeRun::wait_for_clients() {
    outside_->enter();
    clients_->start();
    background_.start(move_tags());
    if (plan_.rot > 0) background_.start(rot_now_and_then());
    if (plan_.purges) background_.start(purge_now_and_then());
    if (plan_.read_only_spells) background_.start(read_only_now_and_then());
    Instant crash = life_.crashes ? world_.time() + life_.crash_after : Instant::never();
    auto outcome = world_.run_until([&] { return clients_->done() || world_.time() >= crash || must_crash(); },
                                    world_.time() + run_time_max, steps_max);
    check_outcome(outcome, "the clients");
}

void LifeRun::stop_box() {
    purges_end_ = true;
    // A shutdown may come into the middle of a purge.
    if (purging_ && world_.random.chance(0.5)) {
        auto purged = world_.run_until([this] { return !purging_; }, world_.time() + stop_time_max, steps_max);
        check_outcome(purged, "the purge");
    }
    box_->stop();
    auto outcome = world_.run_until([this] { return box_->stopped(); }, world_.time() + stop_time_max, steps_max);
    check_outcome(outcome, "the shutdown");
    check_account();
    box_->take_down();
    box_.reset();
    if (world_.open_descriptors(SimBox::process) == 0) return;
    world_.print_open_descriptors(SimBox::process);
    violation("the program left descriptors open");
}

Task<void> LifeRun::close_registry() {
    registry_->stop();
    co_await registry_->close();
}

void LifeRun::close_outside() {
    outside_->enter();
    ending_ = true;
    auto closing = close_registry();
    auto outcome =
        world_.run_until([&] { return closing.done() && background_.running() == 0; }, world_.time() + run_time_max, steps_max);
    check_outcome(outcome, "the upstream");
    ASSERT(outside_->ring().in_flight() == 0);
    world_.detach(*outside_);
}

/// Whatever happened: a file under a digest's name holds that digest's bytes, in full. (When the disk lied about that, what is served still has to be right.)
void LifeRun::check_files() const {
    if (plan_.faults.sync_lies > 0) return;
    for (const auto& [disk_path, disk] : world_.disks) check_disk(*disk);
}

void LifeRun::check_disk(const Disk& disk) const {
    for (const auto& [path, inode] : disk.files()) {
        if (path.rfind("blobs/", 0) != 0) continue;
        auto text = path.substr(6);
        text[text.find('/')] = ':';
        auto digest = Digest::parse(text);
        if (!digest) violation("a file under blobs/ has no digest's name: " + path);
        if (rotten_.contains(disk.name() + "/" + path)) continue;
        if (Digest::of(bytes_of(inode->data), digest->algorithm()) != *digest)
            violation("a stored file does not match its name: " + path);
    }
}

/// After orderly lives the store knows each file that lies under blobs/, and no other: also when the power failed right after the last one's end.
void LifeRun::check_account() const {
    const auto& faults = plan_.faults;
    bool excused = plan_.read_only_spells || faults.name_error + faults.sync_error + faults.sync_lies > 0 ||
                   before_.counts.contains("injected: crash in the middle");
    if (excused || !box_->ready()) return;
    std::uint64_t bytes = 0;
    for (const auto& [disk_path, disk] : world_.disks) {
        for (const auto& [path, inode] : disk->files()) {
            if (path.rfind("blobs/", 0) == 0)
                bytes += std::max<std::uint64_t>(1, (inode->data.size() + page_bytes - 1) / page_bytes) * page_bytes;
        }
    }
    if (bytes != box_->stored_bytes())
        violation(fmt::format("{} bytes of blobs lie on the disks, the store counts {}", bytes, box_->stored_bytes()));
}

/// One GET for each digest that was asked for, as long as nothing forces another: a failure, an end in the middle of a transfer, a store without room.
void LifeRun::check_fetches() const {
    if (!plan_.healthy) return;
    auto counted = [](const std::map<std::string, std::uint64_t>& counts) {
        auto found = counts.find("purges");
        return found == counts.end() ? 0 : found->second;
    };
    auto purges = counted(before_.counts) + counted(world_.counts);
    for (const auto& [digest, traffic] : registry_->traffic()) {
        auto before = before_.gets.find(digest);
        auto gets = traffic.gets + (before == before_.gets.end() ? 0 : before->second);
        // A manifest has several names, and who asks by one cannot know that the other is on its way.
        auto names = catalogue_.find(digest)->is_manifest() ? catalogue_.names_of(digest) : 1;
        if (traffic.running_max > names) violation("a digest was fetched twice at once: " + digest);
        // A purge takes away what was fetched once.
        if (gets > names + number_ + purges) violation(fmt::format("{} was fetched {} times", digest, gets));
    }
}

Memory LifeRun::remember() const {
    Memory memory = before_;
    for (const auto& [path, disk] : world_.disks) memory.disks[path] = disk->save();
    memory.time_ns = world_.time().ns;
    memory.rotten = rotten_;
    memory.tags = catalogue_.save_tags();
    memory.history = memory.history * 31 + world_.history();
    for (const auto& [digest, traffic] : registry_->traffic()) memory.gets[digest] += traffic.gets;
    for (const auto& [what, count] : world_.counts) memory.counts[what] += count;
    memory.counts["answers"] += clients_->answers();
    memory.counts["complete answers"] += clients_->complete();
    memory.counts["steps"] += world_.steps();
    memory.counts["disk steps"] += world_.disk_steps;
    if (must_crash()) ++memory.counts["crashes at a chosen disk step"];
    return memory;
}

void LifeRun::end_power(bool orderly) {
    for (const auto& [path, disk] : world_.disks) {
        if (orderly) {
            disk->settle();
            continue;
        }
        auto lost = disk->crash(world_.random);
        world_.count_injected("pages lost in a power cut", lost.pages);
        world_.count_injected("names lost in a power cut", lost.names);
    }
}

Memory LifeRun::run() {
    start_box();
    bool refused = !box_->failed().empty();
    if (!refused && !must_crash()) wait_for_clients();
    check_fetches();
    if (!life_.crashes && !refused) {
        wait_for_healing();
        let_scrub_find_all();
    }
    if (life_.crashes && !refused) {
        // The rest of this process is not cleaned up: that is what a crash is.
        world_.count_injected("crash in the middle");
        end_power(false);
        check_files();
        rot(plan_.rot);
        return remember();
    }
    stop_box();
    close_outside();
    if (frames_alive() != 0) violation("coroutine frames are left");
    // An orderly end makes nothing durable by itself: the power may fail right after it.
    end_power(world_.random.chance(0.5));
    check_files();
    rot(plan_.rot);
    return remember();
}

}  // namespace

std::string Memory::save() const {
    std::string saved;
    put(saved, std::to_string(disks.size()));
    for (const auto& [path, disk] : disks) {
        put(saved, path);
        put(saved, disk);
    }
    put(saved, std::to_string(time_ns));
    put(saved, gets);
    put(saved, rotten);
    put(saved, tags);
    put(saved, std::to_string(history));
    put(saved, counts);
    return saved;
}

Memory Memory::load(std::string_view saved) {
    Memory memory;
    for (auto count = std::stoull(take(saved)); count > 0; --count) {
        auto path = take(saved);
        memory.disks[path] = take(saved);
    }
    memory.time_ns = std::stoll(take(saved));
    memory.gets = take_numbers(saved);
    memory.rotten = take_numbers(saved);
    memory.tags = take(saved);
    memory.history = std::stoull(take(saved));
    memory.counts = take_numbers(saved);
    return memory;
}

Memory run_life(const Plan& plan, std::size_t number, const Memory& before, bool verbose) {
    // Leaked when the life ends in a crash, and then the process ends: destructors would assert what a crash cannot keep.
    auto* run = new LifeRun(plan, number, before, verbose);
    auto memory = run->run();
    if (!plan.lives[number].crashes) delete run;
    return memory;
}

}  // namespace entrepot::sim
