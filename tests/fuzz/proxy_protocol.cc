// The PROXY header's parser: whatever the bytes, an answer that fits them, the same for every way
// in which they arrive.
#include "common/wire/proxy_protocol.h"

#include "tests/fuzz/input.h"

namespace {

using namespace holdfast;

void check_written_again(const ProxyHeader& header) {
  for (ProxyVersion version : {ProxyVersion::v1, ProxyVersion::v2}) {
    std::string again = proxy_header(version, header.source, header.destination, "id");
    Bytes bytes(reinterpret_cast<const std::uint8_t*>(again.data()), again.size());
    ProxyParse parsed = parse_proxy_header(bytes);
    FUZZ_CHECK(std::holds_alternative<ProxyHeader>(parsed));
    const auto& read = std::get<ProxyHeader>(parsed);
    FUZZ_CHECK(read.size == again.size());
    if (!read.on_behalf) continue;
    FUZZ_CHECK(read.source == header.source);
    FUZZ_CHECK(!ip_of(header.destination) || read.destination == header.destination);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  ProxyParse whole = parse_proxy_header(bytes);
  if (size >= kMaxProxyHeader) FUZZ_CHECK(!std::holds_alternative<ProxyIncomplete>(whole));
  const auto* header = std::get_if<ProxyHeader>(&whole);
  if (header == nullptr) return 0;
  FUZZ_CHECK(header->size >= 15 && header->size <= size && header->size <= kMaxProxyHeader);
  check_written_again(*header);
  for (std::size_t part = 0; part < header->size; ++part) {
    FUZZ_CHECK(std::holds_alternative<ProxyIncomplete>(parse_proxy_header(bytes.first(part))));
  }
  return 0;
}
