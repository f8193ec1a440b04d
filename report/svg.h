// Plots: gnuplot makes an SVG in a private temporary folder; the SVG goes into the page as text.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::report {

/// A restrained palette; the same meaning has the same colour in every figure.
namespace colour {
constexpr const char* kInk = "#1f2933";
constexpr const char* kMuted = "#66727f";
constexpr const char* kAxis = "#a9b4be";
constexpr const char* kGrid = "#e8ecef";
constexpr const char* kForward = "#7fa8c9";
constexpr const char* kBackward = "#2f5d8a";
constexpr const char* kExposed = "#c0563f";
constexpr const char* kOptimizer = "#d9a441";
constexpr const char* kData = "#6b9b7a";
constexpr const char* kOther = "#c5ccd3";
}  // namespace colour

constexpr int kFigureWidth = 980;  ///< of every figure of a page, px

/// The y of row `i` in figures of one row per thing: the first on top.
inline double row(std::size_t i) { return -static_cast<double>(i); }

/// The colour of series number `i` in figures with one series per run.
std::string series_colour(std::size_t i);

/// A gnuplot script under construction: size, fonts, axes and grid are set; the caller adds its own lines.
class Plot {
 public:
  Plot(int width_px, int height_px);
  /// A line of gnuplot, as it is.
  Plot& line(const std::string& text);
  /// `set label` at graph or data coordinates as gnuplot writes them ("first 1,first 2").
  Plot& label(const std::string& text, const std::string& place, const std::string& options = "");
  /// A named data block `$name` with one row per vector, columns of numbers.
  Plot& data(const std::string& name, const std::vector<std::vector<double>>& rows);
  /// Runs gnuplot: the SVG element alone, its ids made unique by `id`. Throws UserError where gnuplot is
  /// missing, std::runtime_error with gnuplot's words where it refuses the script.
  std::string svg(const std::string& id, const std::string& description) const;

 private:
  std::string script_;
};

/// gnuplot's list of tics on a logarithmic axis: `steps` times powers of ten, from `low` to `high`.
std::string decade_tics(double low, double high, const std::vector<double>& steps);
/// A gnuplot string: one clean line (base/clean_text.h), quoted, with quotes and backslashes escaped.
std::string quoted(const std::string& text);

}  // namespace gpumonth::report
