#include <catch2/catch.hpp>

#include "tests/sim/world.h"
