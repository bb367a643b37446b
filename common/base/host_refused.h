// What cannot be begun without, refused by the host while the process begins: there is nothing to
// keep alive yet, and nothing to do but say so. Later on, what the host refuses is a value.
#pragma once

namespace holdfast {

// Says "the host refuses WHAT: REASON" on standard error and exits with 1.
[[noreturn]] void host_refused(const char* what, int error) noexcept;

}  // namespace holdfast
