#pragma once
// A real store behind which a test can make begin() refuse, append() fail after some bytes, and publish() fail.

#include "entrepot/io/await.h"
#include "entrepot/store/store.h"

#include <functional>
#include <limits>
#include <optional>

namespace entrepot {

struct StoreTroubles {
    std::optional<Error> refuse_open, refuse_begin;
    bool takes_blobs = true;
    std::uint64_t append_bytes_max = std::numeric_limits<std::uint64_t>::max();
    Error append_error{Fault::storage, Code::io_failed, 5};
    Duration append_time{};  // longer by this
    std::optional<Error> refuse_publish;
    bool hold_publish = false;  // until `let_go` is notified
    Condition let_go;
    // What was asked of the store.
    std::vector<WriteVia> appended_via;
    int begun = 0, published = 0, abandoned_kept = 0, abandoned_dropped = 0, quarantined = 0;
    std::vector<Digest> touched;
};

class TroubledWriter final : public BlobWriter {
  public:
    TroubledWriter(std::unique_ptr<BlobWriter> real, StoreTroubles& troubles) : real_(std::move(real)), troubles_(troubles) {}

    Task<Result<void>> append(Bytes bytes, int buffer_index, WriteVia via = WriteVia::page_cache) override {
        if (real_->written() + bytes.size() > troubles_.append_bytes_max) co_return troubles_.append_error;
        troubles_.appended_via.push_back(via);
        if (troubles_.append_time > Duration::zero()) co_await Sleep(troubles_.append_time);
        co_return co_await real_->append(bytes, buffer_index, via);
    }
    bool passes_memory_by() const noexcept override { return real_->passes_memory_by(); }
    std::uint64_t written() const noexcept override { return real_->written(); }
    int file() const noexcept override { return real_->file(); }
    Task<Result<BlobRef>> publish(std::vector<LedgerChange> with = {}) override {
        while (troubles_.hold_publish) (void)co_await troubles_.let_go.wait();
        if (troubles_.refuse_publish) {
            co_await real_->abandon(false);
            co_return *troubles_.refuse_publish;
        }
        ++troubles_.published;
        co_return co_await real_->publish(std::move(with));
    }
    Task<void> abandon(bool keep) override {
        ++(keep ? troubles_.abandoned_kept : troubles_.abandoned_dropped);
        co_await real_->abandon(keep);
    }

  private:
    std::unique_ptr<BlobWriter> real_;
    StoreTroubles& troubles_;
};

class TroubledStore final : public Store {
  public:
    explicit TroubledStore(Store& real) : real_(real) {}

    Task<Result<void>> start() override { return real_.start(); }
    Task<void> stop() override { return real_.stop(); }
    Ledger& ledger() noexcept override { return real_.ledger(); }
    Task<Result<BlobRef>> open(const Digest& digest) override {
        if (troubles.refuse_open) co_return *troubles.refuse_open;
        co_return co_await real_.open(digest);
    }
    Task<Result<std::unique_ptr<BlobWriter>>> begin(const Digest& digest, std::optional<std::uint64_t> length,
                                                    Digester& resumed) override {
        ++troubles.begun;
        if (troubles.refuse_begin) co_return *troubles.refuse_begin;
        auto begun = co_await real_.begin(digest, length, resumed);
        if (!begun) co_return begun.error();
        std::unique_ptr<BlobWriter> writer = std::make_unique<TroubledWriter>(*std::move(begun), troubles);
        co_return writer;
    }
    bool takes_blobs() const noexcept override { return troubles.takes_blobs && real_.takes_blobs(); }
    std::vector<const DiskHealth*> disks() const override { return real_.disks(); }
    std::uint64_t partial_bytes(const Digest& digest) const noexcept override { return real_.partial_bytes(digest); }
    void set_pressure_relief(std::function<Task<void>()> relief) override { real_.set_pressure_relief(std::move(relief)); }
    Task<void> quarantine(const Digest& digest) override {
        ++troubles.quarantined;
        return real_.quarantine(digest);
    }
    Task<Result<void>> remove(const Digest& digest) override { return real_.remove(digest); }
    Task<Result<std::vector<Digest>>> discard(std::vector<Digest> digests, std::vector<LedgerChange> changes) override {
        return real_.discard(std::move(digests), std::move(changes));
    }
    void touch(const std::vector<Digest>& digests) noexcept override {
        troubles.touched.insert(troubles.touched.end(), digests.begin(), digests.end());
        real_.touch(digests);
    }
    const Counters& counters() const noexcept override { return real_.counters(); }

    StoreTroubles troubles;

  private:
    Store& real_;
};

}  // namespace entrepot
