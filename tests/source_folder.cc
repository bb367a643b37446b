#include "tests/source_folder.h"

namespace holdfast::test {

std::filesystem::path source_folder() {
  return HOLDFAST_SOURCE_FOLDER;
}

}  // namespace holdfast::test
