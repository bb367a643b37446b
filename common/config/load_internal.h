// The two kinds of config file, each read from its root table. Problems go to the report; the
// config returned is meaningful only when that holds no error.
#pragma once

#include "common/config/config.h"
#include "common/config/sections.h"
#include "common/config/toml_tree.h"

namespace holdfast {

ClientConfig read_client(const TomlNode& root, const Loading& loading);
ServerConfig read_server(const TomlNode& root, const Loading& loading);

}  // namespace holdfast
