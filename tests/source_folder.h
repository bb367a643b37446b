// Where the sources are, told by the build: __FILE__ may be relative to a folder that nobody knows.
#pragma once

#include <filesystem>

namespace holdfast::test {

// The root of the source tree, absolute.
std::filesystem::path source_folder();

}  // namespace holdfast::test
