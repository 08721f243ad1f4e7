// The runner of every unit test; `unit_tests --help` lists doctest's filters, e.g. --test-case='range:*'.
#define DOCTEST_CONFIG_IMPLEMENT  // by itself too: a precompiled doctest.h has looked at the next word already
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
