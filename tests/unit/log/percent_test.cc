#include "common/log/percent.h"

#include "tests/catch.h"

namespace holdfast {

TEST_CASE("What may stand in a query string stays and all else is encoded") {
  CHECK(percent_encoded("") == "");
  CHECK(percent_encoded("azAZ09-._~") == "azAZ09-._~");
  CHECK(percent_encoded("a b&c=d/e?f#g%h") == "a%20b%26c%3Dd%2Fe%3Ff%23g%25h");
  CHECK(percent_encoded(std::string("\0\x7f\xc3\xa4", 4)) == "%00%7F%C3%A4");
}

}  // namespace holdfast
