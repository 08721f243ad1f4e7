// The runner of every unit test; `unit_tests --help` lists doctest's filters, e.g. --test-case='range:*'.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
