// Where the mistakes of one file are collected.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/config/problem.h"

namespace holdfast {

// Where a value stands: for messages about it.
struct Place {
  int line = 1;
  std::string key;  // dotted
};

// The files of one [link.tls], with where each is named: for whoever can read certificates. A path
// is empty where the file names none.
struct TlsTable {
  struct File {
    std::string path;
    Place place;
  };
  File ca;
  File certificate;
  File key;
};

class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void error(const Place& place, std::string reason, std::string hint = "",
             ProblemKind kind = ProblemKind::config) {
    add(place, Severity::error, std::move(reason), std::move(hint), kind);
  }
  void warning(const Place& place, std::string reason, std::string hint = "") {
    add(place, Severity::warning, std::move(reason), std::move(hint), ProblemKind::config);
  }

  void note(TlsTable table) { tls_tables_.push_back(std::move(table)); }

  const std::string& file() const { return file_; }
  bool failed() const { return has_errors(problems_); }
  std::vector<Problem> take() { return std::move(problems_); }
  std::vector<TlsTable> take_tls_tables() { return std::move(tls_tables_); }

 private:
  void add(const Place& place, Severity severity, std::string reason, std::string hint,
           ProblemKind kind) {
    problems_.push_back(
        Problem{file_, place.line, place.key, severity, std::move(reason), std::move(hint), kind});
  }

  std::string file_;
  std::vector<Problem> problems_;
  std::vector<TlsTable> tls_tables_;
};

}  // namespace holdfast
