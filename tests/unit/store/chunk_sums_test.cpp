#include "store/chunk_sums.h"

#include "store_box.h"

namespace entrepot {

TEST_CASE("chunk sums: the pieces in which bytes come do not matter") {
    auto text = content(3 * chunk_bytes + 12345);
    std::vector<std::uint64_t> expected;
    for (std::size_t at = 0; at < text.size(); at += chunk_bytes)
        expected.push_back(sum_of_chunk(bytes_of(std::string_view(text).substr(at, chunk_bytes))));
    for (std::size_t piece : {std::size_t{1000}, std::size_t{4096}, std::size_t{99'991}, std::size_t{chunk_bytes},
                              std::size_t{chunk_bytes} - 1, std::size_t{chunk_bytes} + 1, text.size()}) {
        ChunkSummer summer;
        for (std::size_t at = 0; at < text.size(); at += piece) summer.update(bytes_of(std::string_view(text).substr(at, piece)));
        CHECK(summer.whole().size() == 3);
        CHECK(summer.finish() == expected);
    }
}

TEST_CASE("chunk sums: a summer goes on behind what was summed before") {
    auto text = content(2 * chunk_bytes + 10);
    ChunkSummer whole;
    whole.update(bytes_of(text));
    ChunkSummer later({sum_of_chunk(bytes_of(std::string_view(text).substr(0, chunk_bytes)))});
    later.update(bytes_of(std::string_view(text).substr(chunk_bytes)));
    CHECK(later.finish() == whole.finish());
    CHECK(ChunkSummer().finish().empty());
}

TEST_CASE("chunk sums: a side file is read back; a torn, foreign or newer one gives what can be trusted of it") {
    auto header = sums_header();
    std::string file(reinterpret_cast<const char*>(&header), sizeof header);
    CHECK(parse_sums_file(file).empty());
    std::uint64_t sums[] = {1, 2, 3};
    file.append(reinterpret_cast<const char*>(sums), sizeof sums);
    CHECK(parse_sums_file(file) == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(parse_sums_file(file.substr(0, file.size() - 1)) == std::vector<std::uint64_t>{1, 2});
    CHECK(parse_sums_file(file.substr(0, 15)).empty());
    auto newer = file;
    newer[4] = 2;
    CHECK(parse_sums_file(newer).empty());
    CHECK(parse_sums_file(std::string(100, '\0')).empty());
}

}  // namespace entrepot
