#pragma once
// A doubly linked list through a member of its elements: no allocation, O(1) removal. An element that is destroyed while
// linked trips an ASSERT. Owned by one thread.

#include "entrepot/base/assert.h"

namespace entrepot {

struct ListLink {
    ListLink* next = nullptr;
    ListLink* previous = nullptr;

    ListLink() = default;
    ListLink(const ListLink&) = delete;
    ListLink& operator=(const ListLink&) = delete;
    ~ListLink() { ASSERT(!linked()); }
    bool linked() const noexcept { return next != nullptr; }
    void unlink() noexcept {
        if (!next) return;
        next->previous = previous;
        previous->next = next;
        next = previous = nullptr;
    }
};

/// T derives from ListLink.
template <typename T>
class IntrusiveList {
  public:
    IntrusiveList() { head_.next = head_.previous = &head_; }
    ~IntrusiveList() {
        ASSERT(empty());
        head_.next = head_.previous = nullptr;
    }
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;

    bool empty() const noexcept { return head_.next == &head_; }
    T* front() noexcept { return empty() ? nullptr : static_cast<T*>(head_.next); }
    T* back() noexcept { return empty() ? nullptr : static_cast<T*>(head_.previous); }
    T* after(T& element) noexcept { return element.next == &head_ ? nullptr : static_cast<T*>(element.next); }
    void push_back(T& element) noexcept { insert_before(head_, element); }
    void push_front(T& element) noexcept { insert_before(*head_.next, element); }
    T* pop_front() noexcept {
        T* first = front();
        if (first) first->unlink();
        return first;
    }
    /// Moves every element of `other` to our end.
    void splice_back(IntrusiveList& other) noexcept {
        while (T* element = other.pop_front()) push_back(*element);
    }

  private:
    static void insert_before(ListLink& place, ListLink& link) noexcept {
        ASSERT(!link.linked());
        link.next = &place;
        link.previous = place.previous;
        place.previous->next = &link;
        place.previous = &link;
    }
    ListLink head_;
};

}  // namespace entrepot
