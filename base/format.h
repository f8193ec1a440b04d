// Numbers as a reader wants them. What is not finite is "n/a" in each of them.
#pragma once

#include <string>
#include <vector>

namespace gpumonth {

std::string grouped(double value);       ///< "10,528", "12.3", "0.390": three digits at least, thousands by commas
std::string compact(double value);       ///< "15.3 M", "124.6 k", "5.04", "7.07e17"
std::string scientific(double value);    ///< "7.07e17", "1e21"
std::string percent(double fraction);    ///< "48 %", "4.3 %"
std::string money(double value);         ///< "383 M", "1.53 bn": of a currency
std::string three_digits(double value);  ///< "383,000", "1,580": what a range allows to say

/// "6.42", "2.08 .. 3.03": three digits, both ends where they differ.
std::string factor_text(double low, double high, const char* between = " .. ");

std::string axis_text(double value);  ///< "0.5", "10,000": of a tic

/// Lines of at most `width` characters; a longer word keeps a line of its own.
std::vector<std::string> wrap(const std::string& text, std::size_t width);

}  // namespace gpumonth
