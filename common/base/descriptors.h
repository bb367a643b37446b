// What this process has open.
#pragma once

#include <vector>

namespace holdfast {

// Every open descriptor, ascending. Where /proc is not mounted each possible one is asked for.
std::vector<int> open_descriptors();

// Makes standard input, output and error open where whoever started this process closed them, so
// that nothing else gets those numbers: the log would be written into a connection. As before they
// cannot be read or written. To be called before anything is opened.
void occupy_standard_descriptors();

}  // namespace holdfast
