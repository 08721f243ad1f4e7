#include "entrepot/base/intrusive_list.h"

#include <doctest/doctest.h>

#include <deque>
#include <vector>

using namespace entrepot;

namespace {

struct Item : ListLink {
    explicit Item(int v) : value(v) {}
    int value;
};

std::vector<int> values_in(IntrusiveList<Item>& list) {
    std::vector<int> values;
    for (Item* item = list.front(); item; item = list.after(*item)) values.push_back(item->value);
    return values;
}

void clear(IntrusiveList<Item>& list) {
    while (list.pop_front()) {}
}

}  // namespace

TEST_CASE("intrusive list: an empty list has no front, no back and nothing to pop") {
    IntrusiveList<Item> list;
    CHECK(list.empty());
    CHECK(list.front() == nullptr);
    CHECK(list.back() == nullptr);
    CHECK(list.pop_front() == nullptr);
}

TEST_CASE("intrusive list: order is the order of pushing, at either end") {
    IntrusiveList<Item> list;
    Item one(1), two(2), three(3);
    list.push_back(two);
    list.push_back(three);
    list.push_front(one);
    CHECK(values_in(list) == std::vector{1, 2, 3});
    CHECK(list.front() == &one);
    CHECK(list.back() == &three);
    CHECK(list.pop_front() == &one);
    CHECK_FALSE(one.linked());
    CHECK(values_in(list) == std::vector{2, 3});
    clear(list);
}

TEST_CASE("intrusive list: an element unlinks itself from the middle, and once more without effect") {
    IntrusiveList<Item> list;
    std::deque<Item> items;
    for (int i = 0; i < 5; ++i) list.push_back(items.emplace_back(i));
    items[2].unlink();
    items[2].unlink();
    CHECK(values_in(list) == std::vector{0, 1, 3, 4});
    items[0].unlink();
    items[4].unlink();
    CHECK(values_in(list) == std::vector{1, 3});
    list.push_back(items[2]);
    CHECK(values_in(list) == std::vector{1, 3, 2});
    clear(list);
}

TEST_CASE("intrusive list: splicing moves every element to the end and leaves the other empty") {
    IntrusiveList<Item> list, other;
    Item one(1), two(2), three(3);
    list.push_back(one);
    other.push_back(two);
    other.push_back(three);
    list.splice_back(other);
    CHECK(other.empty());
    CHECK(values_in(list) == std::vector{1, 2, 3});
    list.splice_back(other);
    CHECK(values_in(list) == std::vector{1, 2, 3});
    clear(list);
}
