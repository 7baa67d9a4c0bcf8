// Errors by kind, exact text and line.
#pragma once
#include <kiln/error.h>

#include <string>

#include "tests/catch.h"

/// `statement` throws a kiln::Error of this kind and message, with the line where it stands.
#define KILN_CHECK_ERROR(statement, expected_kind, expected_message)     \
    do {                                                                 \
        bool thrown = false;                                             \
        try {                                                            \
            static_cast<void>(statement);                                \
        } catch (const kiln::Error& error) {                             \
            thrown = true;                                               \
            CHECK(error.message() == (expected_message));                \
            CHECK(error.kind() == kiln::ErrorKind::expected_kind);       \
            CHECK(error.line() == static_cast<std::uint32_t>(__LINE__)); \
            CHECK(error.file() == __FILE__);                             \
        }                                                                \
        CHECK(thrown);                                                   \
    } while (false)
