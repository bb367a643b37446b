// The arguments of calls, as a record has them: one fields() a type, for writing and for reading.
#pragma once

#include "common/core/link_registry.h"
#include "tests/record/tape.h"

namespace holdfast::record {

void fields(Tape& tape, Endpoint& value);
void fields(Tape& tape, LinkService& value);
void fields(Tape& tape, LinkOptions& value);
void fields(Tape& tape, PathReport& value);
void fields(Tape& tape, OpenRequest& value);
void fields(Tape& tape, Hello& value);
void fields(Tape& tape, TableEntry& value);
void fields(Tape& tape, HelloRequest& value);
void fields(Tape& tape, ClientPolicy& value);
void fields(Tape& tape, RegistryOptions& value);

}  // namespace holdfast::record
