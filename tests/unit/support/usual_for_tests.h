// As src/usual.h, for tests.

#include "usual.h"

#include <doctest/doctest.h>
