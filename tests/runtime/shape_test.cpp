#include <kiln/shape.h>

#include <vector>

#include "tests/catch.h"
#include "tests/runtime/check_error.h"

using namespace kiln;

TEST_CASE("shapes print as Python's tuples", "[runtime][shape]") {
    CHECK(to_string(Shape{}) == "()");
    CHECK(to_string(Shape{5}) == "(5,)");
    CHECK(to_string(Shape{3, 4}) == "(3,4)");
    CHECK(to_string(Shape{1, 2, 3, 4, 5, 6, 7, 8}) == "(1,2,3,4,5,6,7,8)");
}

TEST_CASE("shapes are made of any integers and compare as tuples", "[runtime][shape]") {
    const std::vector<int> rows(7);
    CHECK(Shape{rows.size(), 3} == Shape{7, 3});
    CHECK(Shape(7) == Shape{7});
    CHECK_FALSE(Shape{7} == Shape{7, 0});
    Shape shape{1, 2, 3};
    shape.insert(1, 9);
    CHECK(shape == Shape{1, 9, 2, 3});
    shape.erase(0);
    CHECK(shape == Shape{9, 2, 3});
    shape.push_back(4);
    CHECK(shape == Shape{9, 2, 3, 4});
    CHECK(Shape::filled(3, 1) == Shape{1, 1, 1});
    CHECK_THROWS_WITH((Shape{1, 2, 3, 4, 5, 6, 7, 8, 9}),
                      "error: rank 9 is over the limit of 8 axes");
}

TEST_CASE("element_count", "[runtime][shape]") {
    CHECK(element_count(Shape{}) == 1);
    CHECK(element_count(Shape{3, 0, 5}) == 0);
    CHECK(element_count(Shape{3, 4, 5}) == 60);
    CHECK(element_count(Shape{INT64_MAX, 1}) == INT64_MAX);
    KILN_CHECK_ERROR(element_count(Shape{3, -1}), shape, "negative extent in shape (3,-1)");
    KILN_CHECK_ERROR(element_count(Shape{INT64_MAX, 2}), shape,
                     "shape (9223372036854775807,2) has more than 2^63 - 1 elements");
    // Even where another extent is zero, or strides would overflow.
    KILN_CHECK_ERROR(element_count(Shape{0, INT64_MAX, 2}), shape,
                     "shape (0,9223372036854775807,2) has more than 2^63 - 1 elements");
}

TEST_CASE("shapes broadcast from the last axis, extents equal or 1", "[runtime][shape]") {
    CHECK(broadcast_shapes({}) == Shape{});
    CHECK(broadcast_shapes({Shape{3, 4}}) == Shape{3, 4});
    CHECK(broadcast_shapes({Shape{2, 1, 2}, Shape{1, 2, 2}}) == Shape{2, 2, 2});
    CHECK(broadcast_shapes({Shape{0, 3}, Shape{1, 3}}) == Shape{0, 3});
    CHECK(broadcast_shapes({Shape{1}, Shape{0}}) == Shape{0});
    CHECK(broadcast_shapes({Shape{}, Shape{4}, Shape{3, 1}}) == Shape{3, 4});
    CHECK(broadcast_shapes({Shape{4}, Shape{2, 3, 1}}) == Shape{2, 3, 4});
}

TEST_CASE("a bad broadcast names the two shapes that disagree", "[runtime][shape]") {
    KILN_CHECK_ERROR(broadcast_shapes({Shape{3, 4}, Shape{5}}), shape,
                     "cannot broadcast (3,4) with (5,)");
    KILN_CHECK_ERROR(broadcast_shapes({Shape{0, 3}, Shape{2, 3}}), shape,
                     "cannot broadcast (0,3) with (2,3)");
    KILN_CHECK_ERROR(broadcast_shapes({Shape{2, 3}, Shape{3, 2}}), shape,
                     "cannot broadcast (2,3) with (3,2)");
    KILN_CHECK_ERROR(broadcast_shapes({Shape{3, 1}, Shape{1, 4}, Shape{5}}), shape,
                     "cannot broadcast (1,4) with (5,)");
    try {
        broadcast_shapes({Shape{3, 4}, Shape{5}});
    } catch (const Error& error) {
        const std::string line = std::to_string(__LINE__ - 2);
        CHECK(error.what() == "shape_test.cpp:" + line +
                                  ": error: cannot broadcast (3,4) with (5,) (extents must be "
                                  "equal or 1, counted from the last axis)");
    }
}

TEST_CASE("can_broadcast goes one way", "[runtime][shape]") {
    CHECK(can_broadcast(Shape{1, 4}, Shape{3, 4}));
    CHECK(can_broadcast(Shape{4}, Shape{3, 4}));
    CHECK(can_broadcast(Shape{}, Shape{}));
    CHECK(can_broadcast(Shape{1}, Shape{0}));
    CHECK_FALSE(can_broadcast(Shape{3, 4}, Shape{4}));
    CHECK_FALSE(can_broadcast(Shape{3, 4}, Shape{1, 4}));
    CHECK_FALSE(can_broadcast(Shape{0}, Shape{1}));
}
