// Where the mistakes of one config are collected, from however many files it is made.
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
  int file = 0;     // a number that the report gave; 0 is the main file
};

// The files of one [link.tls], with where each is named: for whoever can read certificates. A path
// is empty where the file names none.
struct TlsTable {
  struct File {
    std::string path;
    Place place;
    std::string config;  // the path of the config's file in which the place is
  };
  File ca;
  File certificate;
  File key;
};

class Report {
 public:
  // `file` is the main one.
  explicit Report(std::string file) : files_{std::move(file)} {}

  // One more file. Its number, for places.
  int add_file(std::string file);
  // The main one.
  const std::string& file() const { return files_.front(); }

  void error(const Place& place, std::string reason, std::string hint = "",
             ProblemKind kind = ProblemKind::config);
  void warning(const Place& place, std::string reason, std::string hint = "");

  // A problem that rests on something not being there. It is kept back after set_incomplete(): what
  // is missing may stand in the file that could not be read.
  void missing(Severity severity, const Place& place, std::string reason, std::string hint = "");
  void set_incomplete() { incomplete_ = true; }
  bool incomplete() const { return incomplete_; }

  // The path of the file in which the place is.
  const std::string& file_of(const Place& place) const {
    return files_.at(static_cast<std::size_t>(place.file));
  }
  // What a message about a value at `here` calls another place: "line 6", or "FILE:6".
  std::string name_of(const Place& other, const Place& here) const;

  void note(TlsTable table) { tls_tables_.push_back(std::move(table)); }

  bool failed() const { return has_errors(problems_); }
  // All of them, by file.
  std::vector<Problem> take();
  std::vector<TlsTable> take_tls_tables() { return std::move(tls_tables_); }

 private:
  std::vector<std::string> files_;
  std::vector<Problem> problems_;
  std::vector<int> file_of_;  // of each problem
  bool incomplete_ = false;
  std::vector<TlsTable> tls_tables_;
};

}  // namespace holdfast
