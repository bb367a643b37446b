// The known word that a mistyped one was probably meant to be.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// How many letters must be inserted, removed, replaced or swapped with their neighbour (Damerau and
// Levenshtein, each place edited once) to make one word of the other.
std::size_t edit_distance(std::string_view one, std::string_view other);

// The nearest candidate, when no more than a third of its letters (at least one, with short words)
// differ, capitals or not; else one that the word begins with, or that begins with the word, from
// three letters on. The first of equals.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

// `unknown KIND "word"; did you mean "near"?`, or the list of all that are known.
std::string unknown_word(const std::string& kind, const std::string& word,
                         const std::vector<std::string>& known);

}  // namespace holdfast
